//! `notifyctl hold`: Stop notifications that are pending.

use super::{Context, Error, Exit};

/// Stop notifications that are pending
#[derive(Debug, clap::Args)]
pub struct HoldArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: HoldArgs) -> Result<Exit, Error> {
    unimplemented!()
}
