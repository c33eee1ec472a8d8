//! What a pass would attempt now; changes nothing.

use crate::cli::output::Out;
use crate::cli::{Context, Error, Exit};
use crate::config::ChannelConfig;
use crate::model::{Status, Timestamp};
use crate::store::{Access, ChannelState, Filter, Order, Page, Reader, Store, Summary};
use crate::units;
use crate::wire::{rfc3339, tally::WouldAttempt};

/// Lists what is due on `chosen`, at most `limit`, channel by channel in the order of their ids.
///
/// # Errors
/// As the store's own, or when standard output cannot be written.
pub(super) fn run(
    context: &mut Context,
    chosen: &[(String, ChannelConfig)],
    limit: Option<u64>,
    json: bool,
) -> Result<Exit, Error> {
    let now = context.now();
    let store = context.store(Access::Read)?;
    let states = store.channels(now)?;
    let mut left = limit.unwrap_or(u64::MAX);
    for (name, _) in chosen {
        let state = states.iter().find(|state| state.channel == *name);
        match state.and_then(|state| kept_back(state, now)) {
            // For people alone: a program sees no line, which is what would happen.
            Some(why) if !json => context.out.line(format_args!("{name}: nothing: {why}"))?,
            Some(_) => {}
            None => left = list(&mut context.out, &*store, name, now, left, json)?,
        }
    }
    Ok(Exit::Ok)
}

/// Why nothing of the channel would be attempted now.
fn kept_back(state: &ChannelState, now: Timestamp) -> Option<String> {
    if let Some((_, reason)) = &state.held {
        return Some(format!("the channel is held ({reason})"));
    }
    let at = state.breaker.clears_at().filter(|at| *at > now)?;
    Some(format!("the channel is in trouble and is looked at again {}", units::ago(at, now)))
}

/// Lists what is due on one channel, and says how much of `left` remains.
fn list(
    out: &mut Out,
    store: &dyn Store,
    channel: &str,
    now: Timestamp,
    mut left: u64,
    json: bool,
) -> Result<u64, Error> {
    let filter =
        Filter { statuses: vec![Status::Pending], channel: Some(channel.to_owned()), ..Filter::default() };
    let mut page = Page { order: Order::OldestFirst, after: None, limit: Page::LIMIT };
    loop {
        let rows = Reader::list(store, &filter, &page)?;
        for row in rows.iter().filter(|row| is_due(row, now)) {
            if left == 0 {
                return Ok(0);
            }
            left -= 1;
            line(out, row, json)?;
        }
        match rows.last() {
            Some(last) if rows.len() == Page::LIMIT => page.after = Some(last.id),
            _ => return Ok(left),
        }
    }
}

fn is_due(row: &Summary, now: Timestamp) -> bool {
    row.next_attempt_at <= now && row.expires_at.is_none_or(|at| at > now)
}

fn line(out: &mut Out, row: &Summary, json: bool) -> Result<(), Error> {
    if json {
        return out.json(&WouldAttempt {
            id: row.id,
            channel: &row.channel,
            priority: row.priority.as_str(),
            recipient: &row.recipient,
            due_at: rfc3339(row.next_attempt_at),
        });
    }
    // Enqueued ones hold no control characters; what was put into the store by hand may.
    let recipient: String = row.recipient.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    out.line(format_args!("{}: {} to {recipient} ({})", row.channel, row.id, row.priority))
}
