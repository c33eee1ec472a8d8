//! `notifyctl enqueue`: Accept a notification durably.

use super::{Context, Error, Exit};

/// Accept a notification durably
#[derive(Debug, clap::Args)]
pub struct EnqueueArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: EnqueueArgs) -> Result<Exit, Error> {
    unimplemented!()
}
