//! `notifyctl send-pending`: Deliver what is due, in one pass.

use super::{Context, Error, Exit};

/// Deliver what is due, in one pass
#[derive(Debug, clap::Args)]
pub struct SendPendingArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: SendPendingArgs) -> Result<Exit, Error> {
    unimplemented!()
}
