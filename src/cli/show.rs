//! `notifyctl show`: Show everything about a notification.

use super::face::{self, Face, Paint, one_line};
use super::{Context, Error, Exit, standing};
use crate::model::{Id, Outcome, Timestamp, stable_id};
use crate::store::{Access, shapes};
use crate::{units, wire};

/// Show everything about a notification
///
/// What it says, where it stands, and each attempt with the other side's reply.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0, or 66 when an id does not exist.")]
pub struct ShowArgs {
    /// Which notifications
    #[arg(value_name = "ID", required = true, value_parser = clap::value_parser!(Id).range(1..))]
    ids: Vec<Id>,
    /// Write JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &mut Context, args: ShowArgs) -> Result<Exit, Error> {
    let store = context.store(Access::Read)?;
    let face = context.out.face(context.now());
    let store_id = store.identity()?.store_id;
    let mut missing = Vec::new();
    for (i, id) in args.ids.into_iter().enumerate() {
        let Some((row, last)) = store.history(id)? else {
            missing.push(id);
            continue;
        };
        let standing =
            standing::line(&row.summary, last.iter().rev().find(|one| one.ended_at.is_some()), &face);
        let stable_id = stable_id(&store_id, id);
        let shape = shapes::notification(row, stable_id, last);
        if args.json {
            context.out.json(&shape)?;
            continue;
        }
        if i > 0 {
            context.out.line("")?;
        }
        lines(&shape, &standing, &face).into_iter().try_for_each(|line| context.out.line(line))?;
    }
    standing::all_known(&missing)
}

fn lines(shape: &wire::Notification, standing: &str, face: &Face) -> Vec<String> {
    let summary = &shape.summary;
    let title = face.paint(Paint::Title, format_args!("notification {}", summary.id));
    let mut lines = face.wrap(&format!("{title}  {}  {standing}", face.status(summary.status)), 4);
    let field = |name: &str, value: String| {
        format!("  {}  {value}", face.paint(Paint::Dim, format_args!("{name:<12}")))
    };
    lines.extend(fields(shape).into_iter().flat_map(|(name, value)| face.wrap(&field(name, value), 16)));
    lines.push(String::new());
    lines.extend(face::lines(&shape.message).map(|line| format!("  {line}").trim_end().to_owned()));
    if !shape.history.is_empty() {
        lines.push(String::new());
        let attempts = shape.history.iter().flat_map(|attempt| attempt_lines(attempt, face));
        lines.extend(attempts.flat_map(|line| face.wrap(&line, 4)));
    }
    lines
}

/// What is there to be told, by name; what is not there is left out.
fn fields(shape: &wire::Notification) -> Vec<(&'static str, String)> {
    let summary = &shape.summary;
    let date = |at: Option<Timestamp>| at.map(face::date);
    let line = |text: &Option<String>| text.as_deref().map(one_line);
    let mut fields =
        vec![("channel", Some(one_line(&summary.channel))), ("to", Some(one_line(&summary.recipient)))];
    fields.extend([
        ("subject", line(&summary.subject)),
        ("user", line(&summary.user_id)),
        ("stable id", Some(shape.stable_id.clone())),
        ("batch", summary.batch_id.map(|id| id.to_string())),
        ("priority", Some(summary.priority.to_string())),
        ("key", line(&shape.idempotency_key)),
        ("enqueued", date(Some(summary.created_at))),
        ("not before", date(shape.not_before)),
        ("next attempt", date(summary.next_attempt_at)),
        ("expires", date(summary.expires_at)),
        ("settled", date(summary.settled_at)),
        ("worker", line(&shape.worker)),
        ("lease until", date(shape.lease_expires_at)),
        ("retries", (shape.retries > 0).then(|| format!("{} used up", shape.retries))),
        ("crashes", (shape.crashes > 0).then(|| format!("{} workers died in a row", shape.crashes))),
    ]);
    for (name, value) in &shape.headers {
        fields.push(("header", Some(one_line(&format!("{name}: {value}")))));
    }
    for file in &shape.attachments {
        let (name, kind) = (one_line(&file.name), one_line(&file.media_type));
        fields.push(("attachment", Some(format!("{name} ({kind}, {})", face::bytes(file.size)))));
    }
    if let Some(html) = &shape.html {
        fields.push(("html", Some(format!("{} (--json shows it)", face::bytes(html.len() as u64)))));
    }
    fields.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
}

/// One attempt: what it came to, when, how long it took, by whom; and the other side's words below.
fn attempt_lines(attempt: &wire::Attempt, face: &Face) -> Vec<String> {
    let word = match attempt.outcome {
        None => face.paint(Paint::Busy, "under way"),
        Some(Outcome::Sent) => face.paint(Paint::Good, Outcome::Sent),
        Some(Outcome::Rejected) => face.paint(Paint::Bad, Outcome::Rejected),
        Some(outcome) => face.paint(Paint::Warn, outcome),
    };
    let reason = attempt.reason.filter(|_| attempt.outcome != Some(Outcome::Sent));
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let took = attempt.ended_at.map(|end| format!(", took {}", units::span(end.since(attempt.started_at))));
    let begun = face.at(attempt.started_at);
    let worker = one_line(&attempt.worker);
    let mut lines = vec![format!(
        "  attempt {}  {word}{reason}: begun {begun}{}, by {worker}",
        attempt.number,
        took.unwrap_or_default()
    )];
    if !attempt.detail.is_empty() {
        lines.push(format!("    {}", one_line(&attempt.detail)));
    }
    if let Some(late) = &attempt.late {
        lines.push(format!("    after its lease was lost the worker reported: {}", one_line(late)));
    }
    lines
}
