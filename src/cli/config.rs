//! `notifyctl config`: Make, check and show the configuration.

use super::{Context, Error, Exit};

/// Make, check and show the configuration
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {}

/// Runs it.
pub fn run(_context: &mut Context, _args: ConfigArgs) -> Result<Exit, Error> {
    unimplemented!()
}
