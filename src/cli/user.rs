//! `notifyctl user`: users who can be told by their id alone.

use serde::Serialize;

use super::face::one_line;
use super::{Context, Error, Exit};
use crate::model::{Problem, line_problems};
use crate::store::{Access, User};
use crate::wire::rfc3339;

/// Look at and change users
///
/// A known user can be told without naming a recipient: `notifyctl enqueue --user ID`.
#[derive(Debug, clap::Args)]
pub struct UserArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Create or change a user
    Set {
        /// Your own id of the user
        #[arg(value_name = "ID")]
        id: String,
        /// Who is told
        #[arg(long, value_name = "RECIPIENT", value_hint = clap::ValueHint::EmailAddress)]
        to: String,
        /// For people
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Show a user
    Show {
        /// Your own id of the user
        #[arg(value_name = "ID")]
        id: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(context: &mut Context, args: UserArgs) -> Result<Exit, Error> {
    match args.verb {
        Verb::Set { id, to, name } => set(context, id, to, name),
        Verb::Show { id, json } => show(context, &id, json),
    }
}

fn set(context: &mut Context, id: String, recipient: String, name: Option<String>) -> Result<Exit, Error> {
    check(&id, &recipient, name.as_deref())?;
    let user = User { id, name, recipient, updated_at: context.now() };
    context.store(Access::Create)?.set_user(&user)?;
    Ok(Exit::Ok)
}

/// Whether a channel can reach the recipient is seen at enqueue: a user belongs to no channel.
fn check(id: &str, recipient: &str, name: Option<&str>) -> Result<(), Error> {
    let mut found = Vec::new();
    for (field, value) in [("ID", Some(id)), ("--to", Some(recipient)), ("--name", name)] {
        let Some(value) = value else { continue };
        found.append(&mut line_problems(field, value));
        if value.trim().is_empty() {
            found.push(Problem::new(field, "is empty"));
        }
    }
    match found.first() {
        None => Ok(()),
        Some(first) => Err(Error::new(Exit::DataErr, first.to_string())),
    }
}

fn show(context: &mut Context, id: &str, json: bool) -> Result<Exit, Error> {
    let Some(user) = context.store(Access::Read)?.user(id)? else {
        return Err(Error::new(Exit::NoInput, "there is no such user")
            .hint("`notifyctl user set ID --to RECIPIENT` makes one"));
    };
    let shown = UserJson {
        id: &user.id,
        to: &user.recipient,
        name: user.name.as_deref(),
        updated_at: rfc3339(user.updated_at),
    };
    if json {
        context.out.json(&shown)?;
    } else {
        context.out.line(format_args!("id       {}", one_line(shown.id)))?;
        context.out.line(format_args!("to       {}", one_line(shown.to)))?;
        context.out.line(format_args!("name     {}", one_line(shown.name.unwrap_or("-"))))?;
        context.out.line(format_args!("updated  {}", shown.updated_at))?;
    }
    Ok(Exit::Ok)
}

#[derive(Serialize)]
struct UserJson<'a> {
    id: &'a str,
    to: &'a str,
    name: Option<&'a str>,
    updated_at: String,
}
