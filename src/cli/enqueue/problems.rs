//! What is wrong with a row, told to whoever wrote it: in the words of the options, or of a batch's fields.

use std::fmt;

use crate::cli::face::is_unfit;
use crate::cli::output::say;
use crate::cli::{Error, Exit};
use crate::model::Problem;

/// The failure of one that was given by options: every problem, each on a line of its own.
pub fn refused(found: &[Problem]) -> Error {
    let told = |problem: &Problem| format!("{}: {}", option_of(problem.field), Clean(&problem.what));
    match found {
        [one] => Error::new(Exit::DataErr, told(one)),
        all => {
            all.iter().for_each(|problem| say(told(problem)));
            Error::new(Exit::DataErr, format!("nothing was enqueued: {} problems", all.len()))
        }
    }
}

/// The option behind a field.
fn option_of(field: &str) -> &str {
    match field {
        "message" => "MESSAGE",
        "user_id" => "--user",
        "not_before" => "--at",
        "headers" => "--header",
        "attachments" => "--attach",
        "channel" => "--channel",
        "to" => "--to",
        "subject" => "--subject",
        "html" => "--html",
        "priority" => "--priority",
        "in" => "--in",
        "ttl" => "--ttl",
        "key" => "--key",
        other => other,
    }
}

/// A text from outside on its way to a terminal: control characters are shown, not obeyed.
pub struct Clean<'a>(pub &'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c == '\n' || is_unfit(c) { write!(f, "{}", c.escape_debug())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}
