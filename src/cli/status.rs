//! `notifyctl status`: Show how many notifications stand where.

use super::face::{self, Face, Paint, count, one_line};
use super::output::say;
use super::table::{Column, Table};
use super::{Context, Error, Exit, standing};
use crate::model::{Id, Status};
use crate::store::{Access, Reader, shapes};
use crate::{units, wire};

/// Show how many notifications stand where
///
/// Without an id: the whole store at a glance. With ids: where each stands, and why. With --batch: how far
/// a batch is.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0, or 66 when an id or a batch does not exist (or there is no store yet)."
)]
pub struct StatusArgs {
    /// Where these stand
    #[arg(value_name = "ID", value_parser = clap::value_parser!(Id).range(1..))]
    ids: Vec<Id>,
    /// How far this batch is
    #[arg(long, value_name = "ID", conflicts_with = "ids", value_parser = clap::value_parser!(Id).range(1..))]
    batch: Option<Id>,
    /// Write JSON: one object, or one a line for ids
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &mut Context, args: StatusArgs) -> Result<Exit, Error> {
    let config = context.config()?.clone();
    let store = context.store(Access::Read)?;
    let face = context.out.face(context.now());
    if let Some(id) = args.batch {
        return show_batch(context, &batch(&*store, id)?, args.json, &face).map(|()| Exit::Ok);
    }
    if args.ids.is_empty() {
        for channel in store.counts()?.wrong {
            say(format_args!(
                "channel {}: its counters are wrong; `notifyctl db check` says how",
                one_line(&channel)
            ));
        }
        let mut status =
            shapes::status(&*store, &config.configured(), config.store.url.to_string(), face.now)?;
        status.cache = super::cache::glance(config.cache.as_ref(), &*store)?;
        return show(context, args.json, &status, |status| lines(status, &face)).map(|()| Exit::Ok);
    }
    let mut missing = Vec::new();
    for id in args.ids {
        match standing::summary(&*store, id)? {
            Some(row) => {
                show_standing(context, &standing::of(&*store, &row, &face)?, args.json, &face)?;
            }
            None => missing.push(id),
        }
    }
    standing::all_known(&missing)
}

/// One batch.
///
/// # Errors
/// When there is none of that id.
pub fn batch(reader: &dyn Reader, id: Id) -> Result<wire::Batch, Error> {
    let batch = reader.batch(id)?.ok_or_else(|| {
        Error::new(Exit::NoInput, format!("batch {id} does not exist"))
            .hint("`notifyctl enqueue --batch FILE` prints the id of the batch it makes")
    })?;
    Ok(shapes::batch(batch))
}

fn show<T: serde::Serialize>(
    context: &mut Context,
    json: bool,
    shape: &T,
    lines: impl FnOnce(&T) -> Vec<String>,
) -> Result<(), Error> {
    match json {
        true => context.out.json(shape),
        false => lines(shape).into_iter().try_for_each(|line| context.out.line(line)),
    }
}

/// Writes how far a batch is.
pub fn show_batch(context: &mut Context, batch: &wire::Batch, json: bool, face: &Face) -> Result<(), Error> {
    show(context, json, batch, |batch| batch_lines(batch, face))
}

/// Writes where one notification stands.
pub fn show_standing(
    context: &mut Context,
    standing: &wire::Standing,
    json: bool,
    face: &Face,
) -> Result<(), Error> {
    show(context, json, standing, |one| {
        face.wrap(&format!("{}  {}  {}", one.id, face.status(one.status), one.what), 4)
    })
}

/// A batch for people: what it is, a bar, and the counts.
fn batch_lines(batch: &wire::Batch, face: &Face) -> Vec<String> {
    let (sent, settled) = (batch.counts.of(Status::Sent), batch.counts.settled() + batch.purged);
    let percent = (settled * 100).checked_div(batch.accepted).unwrap_or(100);
    let mut parts = vec![format!("{} of {} sent", count(sent), count(batch.accepted))];
    let others = Status::ALL.into_iter().filter(|status| *status != Status::Sent);
    for status in others.filter(|status| batch.counts.of(*status) > 0) {
        parts
            .push(face.paint(Paint::of(status), format_args!("{} {status}", count(batch.counts.of(status)))));
    }
    if batch.purged > 0 {
        parts.push(format!("{} purged", count(batch.purged)));
    }
    let source = if batch.source == "-" { "standard input".into() } else { one_line(&batch.source) };
    vec![
        format!("batch {} from {source}, enqueued {}", batch.id, face.at(batch.created_at)),
        format!("{} {percent} % settled", face::bar(settled, batch.accepted, 40)),
        parts.join(", "),
    ]
}

/// The whole store for people.
fn lines(status: &wire::Status, face: &Face) -> Vec<String> {
    let mut lines: Vec<String> = counts_table(status, face).lines().collect();
    lines.push(String::new());
    lines.extend(facts(status, face).into_iter().flat_map(|(name, what)| {
        let name = face.paint(Paint::Title, format_args!("{name:<10}"));
        face.wrap(&format!("{name}  {what}"), 12)
    }));
    let rates = rates_table(status, face);
    if let Some(rates) = rates {
        lines.push(String::new());
        lines.extend(rates.lines());
    }
    let alarms = alarms(status, face);
    if !alarms.is_empty() {
        lines.push(String::new());
        lines.extend(alarms.iter().flat_map(|alarm| face.wrap(alarm, 2)));
    }
    lines
}

const COUNTS: [Column; 9] = [
    Column::text("channel"),
    Column::number("pending"),
    Column::number("held"),
    Column::number("sending"),
    Column::number("sent"),
    Column::number("dead"),
    Column::number("expired"),
    Column::number("cancelled"),
    Column::number("total"),
];

fn counts_table(status: &wire::Status, face: &Face) -> Table {
    let mut table = Table::new(*face, &COUNTS);
    for (name, channel) in &status.channels {
        let name_paint = if channel.kind.is_some() { Paint::Plain } else { Paint::Warn };
        table.row(counts_row((name_paint, name), &channel.counts, Paint::Plain));
    }
    if status.channels.len() > 1 {
        table.row(counts_row((Paint::Title, "total"), &status.counts, Paint::Title));
    }
    // Where there is no room for all, what is zero everywhere says least.
    let place = |status: &Status| Status::ALL.iter().position(|one| one == status).map(|at| at + 1);
    let zero = Status::ALL.iter().rev().filter(|one| status.counts.of(**one) == 0).filter_map(place);
    let least = [Status::Cancelled, Status::Expired].iter().filter(|one| status.counts.of(**one) > 0);
    let spare: Vec<usize> = zero.chain([COUNTS.len() - 1]).chain(least.filter_map(place)).collect();
    table.fit(&spare)
}

fn counts_row((paint, name): (Paint, &str), counts: &wire::Counts, total: Paint) -> Vec<(Paint, String)> {
    let mut row = vec![(paint, name.to_owned())];
    row.extend(Status::ALL.into_iter().map(|status| match counts.of(status) {
        0 => (Paint::Dim, "0".to_owned()),
        n => (Paint::of(status), count(n)),
    }));
    row.push((total, count(counts.total())));
    row
}

fn facts(status: &wire::Status, face: &Face) -> Vec<(&'static str, String)> {
    let on = |found: Option<&String>| found.map(|name| format!(" on {}", one_line(name))).unwrap_or_default();
    let mut facts = Vec::new();
    if let Some(at) = status.oldest_due_at {
        let channel = status.channels.iter().find(|(_, channel)| channel.oldest_due_at == Some(at));
        facts.push(("oldest due", format!("{}{}", face.since(at), on(channel.map(|(name, _)| name)))));
    }
    if let Some(at) = status.next_due_at {
        let channel = status.channels.iter().find(|(_, channel)| channel.next_due_at == Some(at));
        facts.push(("next due", format!("{}{}", face.at(at), on(channel.map(|(name, _)| name)))));
    }
    let last_pass = match (&status.last_pass, status.counts.of(Status::Sending)) {
        (Some(pass), _) => pass_line(pass, face),
        (None, _) if status.workers.iter().any(|worker| worker.sends) => "none has ended yet".to_owned(),
        (None, 0) => "none yet: run `notifyctl send-pending`, or let cron run it".to_owned(),
        (None, _) => "none has ended yet; one is at work".to_owned(),
    };
    facts.push(("last pass", last_pass));
    facts.extend(status.workers.iter().map(|worker| worker_line(worker, face)));
    if status.purged > 0 {
        let (purged, accepted) = (count(status.purged), count(status.accepted));
        facts.push(("purged", format!("{purged} of {accepted} ever accepted")));
    }
    let store = status.store.strip_prefix("sqlite://").unwrap_or(&status.store);
    facts.push(("store", one_line(store)));
    if let Some(cache) = &status.cache {
        facts.push(("cache", super::cache::line(cache)));
    }
    facts
}

/// `daemon`, `mx:4711, sender and maintenance, since 2 h 5 m (02:13:05)`.
pub fn worker_line(worker: &wire::Worker, face: &Face) -> (&'static str, String) {
    let process = worker.worker.rsplit_once(':').map_or(&*worker.worker, |(process, _)| process);
    let hangs = match worker.hangs {
        true => face.paint(
            Paint::Bad,
            format_args!(", and hangs: its last sign of life was {}", face.at(worker.seen_at)),
        ),
        false => String::new(),
    };
    let since = face.since(worker.since);
    match worker.roles.as_slice() {
        [role] if role == "pass" => {
            ("at work", format!("a pass, {}, since {since}{hangs}", one_line(process)))
        }
        roles => (
            "daemon",
            format!("{}, {}, since {since}{hangs}", one_line(process), one_line(&roles.join(" and "))),
        ),
    }
}

/// `2 m ago (02:13:05): 12 sent, 1 deferred, in 1 s`.
fn pass_line(pass: &wire::Pass, face: &Face) -> String {
    let tally = [
        (pass.sent, "sent", Paint::Good),
        (pass.deferred, "deferred", Paint::Warn),
        (pass.dead, "dead", Paint::Bad),
        (pass.expired, "expired", Paint::Warn),
        (pass.held, "held", Paint::Warn),
    ];
    let parts = tally.into_iter().filter(|(n, ..)| *n > 0);
    let mut parts: Vec<String> =
        parts.map(|(n, word, paint)| face.paint(paint, format_args!("{} {word}", count(n)))).collect();
    if parts.is_empty() {
        parts.push("nothing was due".to_owned());
    }
    let took = units::span(pass.ended_at.since(pass.started_at));
    format!("{}: {}, in {took}", face.at(pass.ended_at), parts.join(", "))
}

const RATES: [Column; 4] =
    [Column::text("channel"), Column::word("rate"), Column::number("used"), Column::word("next free")];

/// The limits that there are; `None` without any.
fn rates_table(status: &wire::Status, face: &Face) -> Option<Table> {
    let mut table = Table::new(*face, &RATES);
    let mut any = false;
    for (name, rate) in status.channels.iter().flat_map(|(name, c)| c.rates.iter().map(move |r| (name, r))) {
        any = true;
        let full = if rate.next_free_at.is_some() { Paint::Warn } else { Paint::Plain };
        let free = rate.next_free_at.map_or_else(|| "now".to_owned(), |at| face.at(at));
        table.row([
            (Paint::Plain, name.clone()),
            (Paint::Plain, rate.rate.clone()),
            (full, format!("{} of {}", count(rate.used.into()), count(rate.limit.into()))),
            (full, free),
        ]);
    }
    any.then_some(table)
}

/// What needs an eye or a hand, each with what to do.
fn alarms(status: &wire::Status, face: &Face) -> Vec<String> {
    let mut alarms = Vec::new();
    for (name, channel) in &status.channels {
        let shown = face.paint(Paint::Title, one_line(name));
        if let Some(hold) = &channel.held {
            let (word, reason) = (face.paint(Paint::Warn, "held"), one_line(&hold.reason));
            alarms.push(format!("{shown} is {word} since {}: {reason}", face.since(hold.since)));
            alarms.push(format!("  let it go: notifyctl channel release {}", one_line(name)));
        }
        if let Some(trouble) = &channel.trouble {
            alarms.push(format!("{shown} {}", trouble_line(trouble, face)));
        }
        let open = channel.counts.of(Status::Pending) + channel.counts.of(Status::Held);
        if channel.kind.is_none() && open > 0 {
            let word = face.paint(Paint::Bad, "is not configured");
            alarms.push(format!(
                "{shown} {word}, and {} waiting for it",
                match open {
                    1 => "1 notification is".to_owned(),
                    n => format!("{} notifications are", count(n)),
                }
            ));
            alarms.push(format!("  add [channels.{}] to the configuration, or cancel them", one_line(name)));
        }
    }
    alarms.extend(idle(status, face));
    alarms
}

/// A channel's trouble and its end: `has trouble (unreachable, 3 in a row): connection refused; tried again in 42 s`.
pub fn trouble_line(trouble: &wire::Trouble, face: &Face) -> String {
    let end = match (trouble.paused_until, trouble.probing_until) {
        (_, Some(until)) => format!("{PROBING}, at most until {}", face.clock(until)),
        (Some(until), None) => format!("tried again {}", face.at(until)),
        (None, None) => UNPROBED.to_owned(),
    };
    let has = face.paint(Paint::Bad, if trouble.failures > 0 { "has trouble" } else { "is paused" });
    format!("{has}{}; {end}", trouble_words(trouble))
}

/// While one attempt probes a channel that had trouble.
pub const PROBING: &str = "one attempt probes it now, and the others wait for it";
/// When the pause is over.
pub const UNPROBED: &str = "the next attempt probes it";

/// A channel's trouble in words: ` (unreachable, 3 in a row): connection refused`.
pub fn trouble_words(trouble: &wire::Trouble) -> String {
    let row = (trouble.failures > 1).then(|| format!("{} in a row", trouble.failures));
    let inside: Vec<String> =
        trouble.reason.map(|reason| reason.to_string()).into_iter().chain(row).collect();
    let inside = if inside.is_empty() { String::new() } else { format!(" ({})", inside.join(", ")) };
    match trouble.detail.as_deref().map(one_line) {
        Some(words) if !words.is_empty() => format!("{inside}: {words}"),
        _ => inside,
    }
}

/// Something is due and no pass takes it.
fn idle(status: &wire::Status, face: &Face) -> Option<String> {
    let due = status.oldest_due_at?;
    let seen = status.sender_seen_at;
    let since = super::why::idle_since(due, seen, status.counts.of(Status::Sending), face.now)?;
    let word = face.paint(Paint::Bad, "no pass has run");
    let for_ = units::span(face.now.since(since));
    Some(format!("{word} for {for_} although something is due: is cron running `notifyctl send-pending`?"))
}
