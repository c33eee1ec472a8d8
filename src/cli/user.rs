//! `notifyctl user`: Look at and change users.

use super::{Context, Error, Exit};

/// Look at and change users
#[derive(Debug, clap::Args)]
pub struct UserArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: UserArgs) -> Result<Exit, Error> {
    unimplemented!()
}
