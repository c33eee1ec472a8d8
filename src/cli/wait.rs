//! `notifyctl wait`: Wait until notifications are settled.

use super::{Context, Error, Exit};

/// Wait until notifications are settled
#[derive(Debug, clap::Args)]
pub struct WaitArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: WaitArgs) -> Result<Exit, Error> {
    unimplemented!()
}
