//! `notifyctl token`: tokens of those who speak to the daemon over HTTP.

use std::time::Duration;

use super::face::{Paint, one_line};
use super::output::say;
use super::table::{Column, Table};
use super::{Context, Error, Exit};
use crate::model::token::{Scope, Scopes, Standing};
use crate::model::{Id, Timestamp, line_problems};
use crate::secret::token::{Fingerprint, draw, join};
use crate::secret::{ExposeSecret, SecretString};
use crate::store::{Access, NewToken, Store, Token};
use crate::{http, units, wire};

/// Make, list and revoke tokens for HTTP
///
/// Whoever speaks to the daemon over HTTP shows one: `Authorization: Bearer TOKEN`.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token and print it, this once
    ///
    /// The store keeps its SHA-256 alone: who loses it makes another one.
    #[command(after_help = "Examples:\n  \
        notifyctl token create --scope enqueue,read,admin\n  \
        notifyctl token create --name shop --scope enqueue\n  \
        notifyctl token create --name grafana --scope read --ttl 90d --json\n\n\
        Exit codes: 0; 65 when the name is empty or not one line, or --ttl is zero.")]
    Create {
        /// Who gets it, for people and for the log; without it, USER@HOST of who makes it
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// What it allows; none includes another. `enqueue`: enqueue and wait; `read`: look, with personal data masked;
        /// `admin`: cancel, hold, release, requeue; `personal`: see personal data unmasked
        #[arg(long, value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope())]
        scope: Vec<Scope>,
        /// It is of no use after this time, such as `90d` [default: for ever]
        #[arg(long, value_name = "DURATION", value_parser = units::duration)]
        ttl: Option<Duration>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens; what they look like is not kept
    List {
        /// Write JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Take a token back, for ever; a daemon refuses it within a second
    #[command(after_help = "Exit codes: 0, also when it was revoked before; 66 when there is no such token.")]
    Revoke {
        /// Its id: the number after `nctl_`
        #[arg(value_name = "ID")]
        id: Id,
    },
}

/// Words that help and completions know.
fn scope() -> impl clap::builder::TypedValueParser<Value = Scope> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|word| word.parse::<Scope>())
}

/// Runs it.
pub fn run(context: &mut Context, args: TokenArgs) -> Result<Exit, Error> {
    match args.command {
        Command::Create { name, scope, ttl, json } => {
            create(context, name.unwrap_or_else(maker), scope.into_iter().collect(), ttl, json)
        }
        Command::List { json } => list(context, json),
        Command::Revoke { id } => revoke(context, id),
    }
}

fn create(
    context: &mut Context,
    name: String,
    scopes: Scopes,
    ttl: Option<Duration>,
    json: bool,
) -> Result<Exit, Error> {
    check(&name)?;
    if ttl.is_some_and(|ttl| ttl.is_zero()) {
        return Err(Error::new(Exit::DataErr, "--ttl: is zero; such a token would never be of use"));
    }
    let now = context.now();
    let secret = draw().map_err(|error| Error::internal(format!("get random bytes: {error}")))?;
    let new = NewToken {
        name,
        fingerprint: Fingerprint::of(&secret),
        scopes,
        created_at: now,
        expires_at: ttl.map(|ttl| now.plus(ttl)),
    };
    let mut store = context.store(Access::Create)?;
    let id = store.create_token(&new)?;
    audit("token create", id, &new.name, scopes);
    let token = join(id, &secret);
    let shown = show(context, &*store, id, &token, json);
    if let Err(error) = shown {
        // Nobody has it, and nobody ever will.
        return Err(match store.revoke_token(now, id) {
            Ok(_) => {
                audit("token revoke", id, &new.name, scopes);
                error.hint("the token, which nobody has seen, was revoked; make another one")
            }
            Err(_) => error.hint(format!("nobody has seen the token: `notifyctl token revoke {id}`")),
        });
    }
    say(format_args!("keep it now, it is not shown again; `notifyctl token revoke {id}` takes it back"));
    Ok(Exit::Ok)
}

fn show(
    context: &mut Context,
    store: &dyn Store,
    id: Id,
    token: &SecretString,
    json: bool,
) -> Result<(), Error> {
    let now = context.now();
    match json {
        true => context.out.json(&shape(&read(store, id)?, now, Some(token)))?,
        false => context.out.line(token.expose_secret())?,
    }
    context.out.flush()
}

/// Who makes a token, by the words of the environment: a label for people. Who it was by the kernel's word is in the audit line.
fn maker() -> String {
    let uid = rustix::process::getuid();
    // As long as a user's name can be (LOGIN_NAME_MAX), and one line.
    let fits = |name: &String| {
        !name.trim().is_empty() && name.len() <= 256 && line_problems("--name", name).is_empty()
    };
    let set = |variable: &str| std::env::var(variable).ok().filter(fits);
    // Behind `sudo` everybody is root.
    let behind = uid.is_root().then(|| set("SUDO_USER")).flatten();
    let user = behind.or_else(|| set("LOGNAME")).or_else(|| set("USER"));
    let user = user.unwrap_or_else(|| format!("uid {}", uid.as_raw()));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

fn check(name: &str) -> Result<(), Error> {
    if name.trim().is_empty() {
        return Err(Error::new(Exit::DataErr, "--name: is empty; say who gets the token"));
    }
    match line_problems("--name", name).first() {
        None => Ok(()),
        Some(problem) => Err(Error::new(Exit::DataErr, problem.to_string())),
    }
}

fn read(store: &dyn Store, id: Id) -> Result<Token, Error> {
    store.token(id)?.ok_or_else(|| {
        Error::new(Exit::NoInput, format!("there is no token {id}"))
            .hint("`notifyctl token list` shows what there is")
    })
}

const COLUMNS: [Column; 7] = [
    Column::number("id"),
    Column::text("name"),
    Column::word("scopes"),
    Column::word("standing"),
    Column::word("made"),
    Column::word("expires"),
    Column::word("used"),
];

/// What a narrow terminal does without, by place.
const SPARE: [usize; 4] = [4, 6, 5, 2];

fn list(context: &mut Context, json: bool) -> Result<Exit, Error> {
    let now = context.now();
    let tokens = context.store(Access::Read)?.tokens()?;
    if json {
        tokens.iter().try_for_each(|token| context.out.json(&shape(token, now, None)))?;
        return Ok(Exit::Ok);
    }
    if tokens.is_empty() {
        say("there is no token; `notifyctl token create --name NAME --scope enqueue` makes one");
        return Ok(Exit::Ok);
    }
    let face = context.out.face(now);
    let when = |at: Option<Timestamp>, never: &str| match (at, face.width) {
        (None, _) => never.to_owned(),
        // A person reads distances, a file is read later.
        (Some(at), Some(_)) => units::ago(at, now),
        (Some(at), None) => wire::rfc3339(at),
    };
    let mut table = Table::new(face, &COLUMNS);
    for token in &tokens {
        let standing = token.standing(now);
        let paint = if standing == Standing::Good { Paint::Good } else { Paint::Dim };
        table.row([
            (Paint::Plain, token.id.to_string()),
            (Paint::Plain, token.name.clone()),
            (Paint::Plain, token.scopes.to_string()),
            (paint, standing.to_string()),
            (Paint::Dim, when(Some(token.created_at), "-")),
            (Paint::Plain, when(token.expires_at, "-")),
            (Paint::Plain, when(token.used_at, "never")),
        ]);
    }
    table.fit(&SPARE).lines().try_for_each(|line| context.out.line(line))?;
    Ok(Exit::Ok)
}

fn revoke(context: &mut Context, id: Id) -> Result<Exit, Error> {
    let now = context.now();
    let mut store = context.store(Access::Existing)?;
    let token = read(&*store, id)?;
    if store.revoke_token(now, id)? {
        audit("token revoke", id, &token.name, token.scopes);
    } else {
        say(format_args!("token {id} ({}) was revoked before", one_line(&token.name)));
    }
    Ok(Exit::Ok)
}

/// A line in the log, as for the acts of an administrator over HTTP: who did what to which token.
fn audit(act: &'static str, id: Id, name: &str, scopes: Scopes) {
    log::info!(
        target: http::AUDIT_TARGET,
        by = format!("uid {}", rustix::process::getuid().as_raw()).as_str(),
        ids = id,
        name = name,
        scopes:% = scopes;
        "{act}"
    );
}

fn shape(token: &Token, now: Timestamp, secret: Option<&SecretString>) -> wire::Token {
    wire::Token {
        id: token.id,
        name: token.name.clone(),
        scopes: token.scopes.iter().map(Scope::as_str).collect(),
        standing: token.standing(now).as_str(),
        created_at: token.created_at,
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
        used_at: token.used_at,
        token: secret.map(|secret| secret.expose_secret().to_owned()),
    }
}
