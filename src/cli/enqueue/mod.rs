//! `notifyctl enqueue`: accept notifications durably, one or a whole batch.
//!
//! The hot path: it starts no async runtime, builds no channel and opens the store once.

mod args;
mod batch;
mod files;
mod intake;
mod message;
mod one;
mod problems;

pub use args::{EnqueueArgs, Format};
pub use batch::read_rows;

use super::{Context, Error, Exit};

/// Runs it.
pub fn run(context: &mut Context, args: &EnqueueArgs) -> Result<Exit, Error> {
    match args.batch {
        Some(_) => batch::run(context, args),
        None => one::run(context, args),
    }
}
