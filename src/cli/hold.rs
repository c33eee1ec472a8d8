//! `notifyctl hold`: Stop notifications that are pending.

use super::selection::SelectionArgs;
use super::steer::{self, Verb};
use super::{Context, Error, Exit};
use crate::model::Status;

/// Stop notifications that are pending
///
/// They stay held until they are released; `channel hold` stops a whole channel instead.
/// Prints the id of each that changed.
#[derive(Debug, clap::Args)]
#[command(after_help = steer::EXIT_CODES)]
pub struct HoldArgs {
    #[command(flatten)]
    selection: SelectionArgs,
}

/// The verb.
pub const VERB: Verb = Verb {
    done: "held",
    from: &[Status::Pending],
    to: Status::Held,
    call: |store, now, which| store.hold(now, which),
};

/// Runs it.
pub fn run(context: &mut Context, args: HoldArgs) -> Result<Exit, Error> {
    steer::run(context, args.selection, &VERB)
}
