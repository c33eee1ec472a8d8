//! `notifyctl release`: Let held notifications go.

use super::{Context, Error, Exit};

/// Let held notifications go
#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: ReleaseArgs) -> Result<Exit, Error> {
    unimplemented!()
}
