//! `notifyctl list`: List notifications.

use super::{Context, Error, Exit};

/// List notifications
#[derive(Debug, clap::Args)]
pub struct ListArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: ListArgs) -> Result<Exit, Error> {
    unimplemented!()
}
