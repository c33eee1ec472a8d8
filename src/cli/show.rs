//! `notifyctl show`: Show everything about a notification.

use super::{Context, Error, Exit};

/// Show everything about a notification
#[derive(Debug, clap::Args)]
pub struct ShowArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: ShowArgs) -> Result<Exit, Error> {
    unimplemented!()
}
