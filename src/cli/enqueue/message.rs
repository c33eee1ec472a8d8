//! The message of the command line: an argument, or standard input.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use super::args::{EnqueueArgs, not_utf8, text};
use super::problems::refused;
use crate::cli::output::say;
use crate::cli::{Error, Exit};
use crate::model::Problem;
use crate::wire::row::Field;

/// The message of one notification: the argument, or standard input.
pub fn message(args: &EnqueueArgs, limit: usize) -> Result<String, Error> {
    match args.message.as_deref().filter(|message| *message != "-") {
        None => standard_input(limit),
        Some(message) => argument(message),
    }
}

/// The same for options that are wrong anyway: nobody has to type a message before they are told.
pub fn message_unread(args: &EnqueueArgs) -> Result<String, Error> {
    args.message.as_deref().filter(|message| *message != "-").map_or(Ok(String::new()), argument)
}

/// The message of every row of a batch that has none: the argument alone, because what a batch does not
/// say need not be given at all.
pub fn default(args: &EnqueueArgs, limit: usize) -> Result<Option<String>, Error> {
    match args.message.as_deref() {
        None => Ok(None),
        Some(message) if message != "-" => argument(message).map(Some),
        Some(_) if args.batch.as_deref() == Some(Path::new("-")) => {
            Err(Error::new(Exit::Usage, "standard input cannot be both the batch and the message"))
        }
        Some(_) => standard_input(limit).map(Some),
    }
}

fn argument(message: &OsStr) -> Result<String, Error> {
    match text(Field::Message, message) {
        Ok(message) => Ok(message.to_owned()),
        Err(problem) => Err(refused(&[problem])),
    }
}

/// Standard input to its end, at most `limit` bytes.
fn standard_input(limit: usize) -> Result<String, Error> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        say("reading the message from standard input, end with Ctrl-D");
    }
    let mut message = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    stdin
        .lock()
        .take(most)
        .read_to_end(&mut message)
        .map_err(|error| Error::new(Exit::IoErr, format!("read standard input: {error}")))?;
    if message.len() > limit {
        let what = format!("is longer than {limit} bytes");
        return Err(refused(&[Problem::new(Field::Message.name(), what)])
            .hint("`tail -c 100000` in between keeps its end; a file travels along with --attach"));
    }
    String::from_utf8(message).map_err(|error| {
        refused(&[not_utf8(Field::Message.name(), &error.utf8_error())])
            .hint("`iconv -c -f UTF-8 -t UTF-8` in between leaves out what is not")
    })
}
