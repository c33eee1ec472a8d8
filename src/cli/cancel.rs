//! `notifyctl cancel`: Call notifications off.

use super::{Context, Error, Exit};

/// Call notifications off
#[derive(Debug, clap::Args)]
pub struct CancelArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: CancelArgs) -> Result<Exit, Error> {
    unimplemented!()
}
