//! `notifyctl channel`: Look at, hold, release and test channels.

use super::{Context, Error, Exit};

/// Look at, hold, release and test channels
#[derive(Debug, clap::Args)]
pub struct ChannelArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: ChannelArgs) -> Result<Exit, Error> {
    unimplemented!()
}
