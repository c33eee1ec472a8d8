//! `notifyctl release`: Let held notifications go.

use super::selection::SelectionArgs;
use super::steer::{self, Verb};
use super::{Context, Error, Exit};
use crate::model::Status;

/// Let held notifications go
///
/// They are due at once, or at the earliest moment that was given when they were enqueued.
/// Prints the id of each that changed.
#[derive(Debug, clap::Args)]
#[command(after_help = steer::EXIT_CODES)]
pub struct ReleaseArgs {
    #[command(flatten)]
    selection: SelectionArgs,
}

/// The verb.
pub const VERB: Verb = Verb {
    done: "released",
    from: &[Status::Held],
    to: Status::Pending,
    call: |store, now, which| store.release(now, which),
};

/// Runs it.
pub fn run(context: &mut Context, args: ReleaseArgs) -> Result<Exit, Error> {
    steer::run(context, args.selection, &VERB)
}
