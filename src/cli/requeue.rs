//! `notifyctl requeue`: Start dead, expired or cancelled notifications again.

use super::{Context, Error, Exit};

/// Start dead, expired or cancelled notifications again
#[derive(Debug, clap::Args)]
pub struct RequeueArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: RequeueArgs) -> Result<Exit, Error> {
    unimplemented!()
}
