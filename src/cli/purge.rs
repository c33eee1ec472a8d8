//! `notifyctl purge`: Remove old notifications that are settled.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::face::notifications;
use super::selection::status_parser;
use super::{Context, Error, Exit};
use crate::model::{Id, Status, Timestamp};
use crate::store::{Access, Bite, Filter, Order, Page, Purge, Reader, Store};
use crate::{units, wire};

/// Remove old notifications that are settled
///
/// Only what is sent, dead, expired or cancelled, with its attempts and attachments; without --older-than what
/// `[retention]` in the configuration has run out for. Works in small bites, so that passes and enqueues go on
/// beside it. Says nothing when nobody looks, unless --json or --dry-run is given.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0; 75 when the store is busy: what was removed stays removed, run it again."
)]
pub struct PurgeArgs {
    /// Settled longer ago than this: `30d` [default: as `[retention]` says]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    older_than: Option<Duration>,
    /// Only this final status; may be given several times [default: all of them]
    #[arg(long = "status", value_name = "STATUS", value_parser = status_parser(&FINAL))]
    statuses: Vec<Status>,
    /// Remove nothing; print how many would be
    #[arg(long)]
    dry_run: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What may be removed.
const FINAL: [Status; 4] = [Status::Sent, Status::Dead, Status::Expired, Status::Cancelled];

/// How many rows are looked at at once where nothing is removed.
const PAGE: usize = Page::LIMIT;

/// Runs it.
pub fn run(context: &mut Context, args: PurgeArgs) -> Result<Exit, Error> {
    let asked = if args.statuses.is_empty() { FINAL.to_vec() } else { args.statuses };
    let groups = match args.older_than {
        Some(age) => vec![(asked, age)],
        None => context
            .config()?
            .retention
            .groups()
            .into_iter()
            .map(|(mut statuses, age)| {
                statuses.retain(|status| asked.contains(status));
                (statuses, age)
            })
            .filter(|(statuses, _)| !statuses.is_empty())
            .collect(),
    };
    let now = context.now();
    let access = if args.dry_run { Access::Read } else { Access::Existing };
    let mut store = context.store(access)?;
    for (statuses, age) in groups {
        let purge =
            Purge { statuses: statuses.clone(), settled_before: now.minus(age), now, from: 0, limit: PAGE };
        let settled_before = purge.settled_before;
        let removed = match args.dry_run {
            true => old(&*store, &purge)?,
            false => remove(&mut *store, purge)?,
        };
        if args.json {
            let statuses = statuses.iter().map(|status| status.as_str()).collect();
            context.out.json(&wire::Purge { removed, settled_before, statuses, dry_run: args.dry_run })?;
        } else if args.dry_run || context.out.is_terminal() || std::io::stderr().is_terminal() {
            let would = if args.dry_run { "would be " } else { "" };
            let words = statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
            let age = units::Period(age);
            context.out.line(format_args!(
                "{} {would}removed that were settled more than {age} ago: {words}",
                notifications(removed)
            ))?;
        }
    }
    Ok(Exit::Ok)
}

fn remove(store: &mut dyn Store, mut purge: Purge) -> Result<u64, Error> {
    let bar = bar("{spinner} {human_pos} removed, {per_sec}");
    let mut size = Bite::default();
    let mut removed = 0;
    loop {
        purge.limit = size.rows();
        let bite = store.purge(&purge)?;
        removed += bite.removed;
        bar.set_position(removed);
        match bite.next {
            Some(next) => purge.from = next,
            None => {
                bar.finish_and_clear();
                return Ok(removed);
            }
        }
        size.learn(bite.took);
        std::thread::sleep(Bite::PAUSE);
    }
}

/// How many would go.
fn old(reader: &dyn Reader, purge: &Purge) -> Result<u64, Error> {
    let bar = bar("{spinner} {human_pos} found");
    let filter = Filter { statuses: purge.statuses.clone(), ..Filter::default() };
    let mut after: Option<Id> = None;
    let mut found = 0;
    loop {
        let rows = reader.list(&filter, &Page { order: Order::OldestFirst, after, limit: PAGE })?;
        let is_old = |at: Option<Timestamp>| at.is_some_and(|at| at < purge.settled_before);
        found += rows.iter().filter(|row| is_old(row.settled_at)).count() as u64;
        bar.set_position(found);
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some(last.id),
            _ => {
                bar.finish_and_clear();
                return Ok(found);
            }
        }
    }
}

/// On a terminal alone; indicatif writes nothing elsewhere.
fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::no_length().with_style(style)
}
