//! `notifyctl purge`: Remove old notifications that are settled.

use super::{Context, Error, Exit};

/// Remove old notifications that are settled
#[derive(Debug, clap::Args)]
pub struct PurgeArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: PurgeArgs) -> Result<Exit, Error> {
    unimplemented!()
}
