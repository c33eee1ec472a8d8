//! `notifyctl requeue`: Start dead, expired or cancelled notifications again.

use super::selection::SelectionArgs;
use super::steer::{self, Verb};
use super::{Context, Error, Exit};
use crate::model::Status;

/// Start dead, expired or cancelled notifications again
///
/// They are due at once, or at the earliest moment that was given when they were enqueued, with all their
/// retries and without an expiry. Prints the id of each that changed.
#[derive(Debug, clap::Args)]
#[command(after_help = steer::EXIT_CODES)]
pub struct RequeueArgs {
    #[command(flatten)]
    selection: SelectionArgs,
}

/// The verb.
pub const VERB: Verb = Verb {
    done: "requeued",
    from: &[Status::Dead, Status::Expired, Status::Cancelled],
    to: Status::Pending,
    call: |store, now, which| store.requeue(now, which),
};

/// Runs it.
pub fn run(context: &mut Context, args: RequeueArgs) -> Result<Exit, Error> {
    steer::run(context, args.selection, &VERB)
}
