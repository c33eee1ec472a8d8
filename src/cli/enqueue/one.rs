//! One notification per recipient, from options and a message.

use super::args::EnqueueArgs;
use super::intake::Shell;
use super::{message, problems};
use crate::cli::output::say;
use crate::cli::{Context, Error, Exit};
use crate::model::NewNotification;
use crate::store::Enqueued;
use crate::wire::receipt::Receipt;

/// Runs it.
pub fn run(context: &mut Context, args: &EnqueueArgs) -> Result<Exit, Error> {
    let (new, enqueued) = enqueue(context, args)?;
    for (new, enqueued) in new.iter().zip(&enqueued) {
        if args.json {
            context.out.json(&Receipt {
                id: enqueued.id,
                created: enqueued.created,
                channel: &new.channel,
                recipient: &new.content.recipient,
            })?;
        } else {
            context.out.line(enqueued.id)?;
        }
        if !enqueued.created {
            say(format_args!("{}: known by its key, not enqueued again", enqueued.id));
        }
    }
    Ok(Exit::Ok)
}

fn enqueue(
    context: &mut Context,
    args: &EnqueueArgs,
) -> Result<(Vec<NewNotification>, Vec<Enqueued>), Error> {
    let now = context.now();
    let config = context.config()?;
    args.check_channel(config)?;
    let mut row = args.row(&config.limits)?;
    row.message = Some(match row.flaws.is_empty() {
        true => message::message(args, config.limits.message)?,
        false => message::message_unread(args)?,
    });
    let mut intake = Shell::new(config, now, None);
    let accepted = row.into_new(&config.terms(now), &mut intake);
    if let Some(error) = intake.trouble() {
        return Err(error.into());
    }
    let new: Vec<_> = accepted.map_err(|found| problems::refused(&found))?.collect();
    let mut store = intake.into_store()?;
    let enqueued = store.enqueue(now, now.plus(config.defaults.key_window), &new)?;
    store.leave();
    Ok((new, enqueued))
}
