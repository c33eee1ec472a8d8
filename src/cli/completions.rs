//! `notifyctl completions`: Print a completion script for a shell.

use super::{Context, Error, Exit};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: CompletionsArgs) -> Result<Exit, Error> {
    unimplemented!()
}
