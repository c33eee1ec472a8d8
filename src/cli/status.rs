//! `notifyctl status`: Show how many notifications stand where.

use super::{Context, Error, Exit};

/// Show how many notifications stand where
#[derive(Debug, clap::Args)]
pub struct StatusArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: StatusArgs) -> Result<Exit, Error> {
    unimplemented!()
}
