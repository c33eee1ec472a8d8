//! A whole batch, atomically and in constant memory: one pass over the rows checks all of them without any
//! lock, a second one feeds the store's single transaction.

mod check;
mod csv;
mod desk;
mod feed;
mod input;
mod lines;
mod progress;
mod rows;

pub use rows::read_rows;

use super::args::EnqueueArgs;
use super::intake::Shell;
use super::{message, problems};
use crate::cli::output::say;
use crate::cli::{Context, Error, Exit};
use crate::config::Config;
use crate::model::Timestamp;
use crate::store::{BatchReceipt, NewBatch};
use crate::wire::receipt;
use check::{Tally, check};
use desk::Desk;
use feed::Feed;
use input::Input;

/// Runs it.
pub fn run(context: &mut Context, args: &EnqueueArgs) -> Result<Exit, Error> {
    let now = context.now();
    let (receipt, tally) = enqueue(context.config()?, args, now)?;
    if args.json {
        context.out.json(&receipt::BatchReceipt {
            batch: receipt.id,
            created: receipt.created,
            known: receipt.known,
            skipped: tally.wrong,
        })?;
    } else {
        context.out.line(receipt.id)?;
        if context.out.is_terminal() {
            let BatchReceipt { id, created, .. } = receipt;
            say(format_args!("{created} enqueued; `notifyctl status --batch {id}` shows how they fare"));
        }
    }
    if receipt.known > 0 {
        say(format_args!("{} known by their key, not enqueued again", receipt.known));
    }
    if tally.wrong > 0 {
        say(format_args!("{} of {} rows are wrong and were left out", tally.wrong, tally.rows));
        return Ok(Exit::DataErr);
    }
    Ok(Exit::Ok)
}

fn enqueue(config: &Config, args: &EnqueueArgs, now: Timestamp) -> Result<(BatchReceipt, Tally), Error> {
    args.check_channel(config)?;
    let mut input = Input::open(args, &config.limits)?;
    let mut defaults = args.row(&config.limits)?;
    if !defaults.flaws.is_empty() {
        return Err(problems::refused(&defaults.flaws));
    }
    defaults.message = message::default(args, config.limits.message)?;
    let mut desk = Desk::new(config, now, input.folder()?, defaults);
    let tally = check(&mut desk, &mut input, args)?;
    let batch =
        NewBatch { source: input.name().to_owned(), key_expires_at: now.plus(config.defaults.key_window) };
    // A store of its own: the desk's answers about users while this one's transaction runs.
    let mut store = Shell::new(config, now, None).into_store()?;
    let receipt = std::thread::scope(|scope| {
        let (mut feed, reader) = Feed::start(scope, &mut desk, &input, tally)?;
        let receipt = store.enqueue_batch(now, &batch, &mut || feed.next());
        // A reader that has more for a store that has given up ends with it.
        drop(feed);
        match reader.join() {
            Ok(read) => read.map(|()| receipt),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    receipt?
        .map(|receipt| (receipt, tally))
        .ok_or_else(|| Error::internal("the store took nothing of a batch that has rows"))
}
