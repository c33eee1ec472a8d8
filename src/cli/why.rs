//! `notifyctl why`: Say why a notification has not been sent yet.

use super::{Context, Error, Exit};

/// Say why a notification has not been sent yet
#[derive(Debug, clap::Args)]
pub struct WhyArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: WhyArgs) -> Result<Exit, Error> {
    unimplemented!()
}
