//! `notifyctl db`: Check, back up, measure and migrate the store.

use super::{Context, Error, Exit};

/// Check, back up, measure and migrate the store
#[derive(Debug, clap::Args)]
pub struct DbArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: DbArgs) -> Result<Exit, Error> {
    unimplemented!()
}
