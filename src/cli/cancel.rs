//! `notifyctl cancel`: Call notifications off.

use super::selection::SelectionArgs;
use super::steer::{self, Verb};
use super::{Context, Error, Exit};
use crate::model::Status;

/// Call notifications off
///
/// Applies to what is pending or held; what is being sent cannot be called back.
/// Prints the id of each that changed.
#[derive(Debug, clap::Args)]
#[command(after_help = steer::EXIT_CODES)]
pub struct CancelArgs {
    #[command(flatten)]
    selection: SelectionArgs,
}

/// The verb.
pub const VERB: Verb = Verb {
    done: "cancelled",
    from: &[Status::Pending, Status::Held],
    to: Status::Cancelled,
    call: |store, now, which| store.cancel(now, which),
};

/// Runs it.
pub fn run(context: &mut Context, args: CancelArgs) -> Result<Exit, Error> {
    steer::run(context, args.selection, &VERB)
}
