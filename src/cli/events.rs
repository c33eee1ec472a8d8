//! `notifyctl events`: What happens, as it happens.

use std::sync::Arc;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::face::{Face, Paint, one_line};
use super::output::say;
use super::selection::{past, status_parser};
use super::{Context, Error, Exit};
use crate::model::{Cursor, Event, EventFilter, EventKind, Id, Reason, Status};
use crate::store::{Access, Events, Reader};
use crate::wire;

/// What happens, as it happens
///
/// Each notification that was enqueued, tried, settled, held, released, cancelled, requeued or expired, by
/// whichever process, and each channel that came into trouble; in the order in which it was committed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The last 200,000 events are kept; that a notification was enqueued, until it is purged.\n\n\
    Exit codes: 0, also when nothing happened. With --follow it runs until it is interrupted or its reader leaves."
)]
pub struct EventsArgs {
    /// From here on: the cursor of an event, a duration ago (`2h`) or a time (`18:00`)
    /// [default: `1h`; with --follow, from now on]
    #[arg(long, value_name = "CURSOR|WHEN")]
    since: Option<String>,
    /// Stay, and write what happens from now on
    #[arg(long, short)]
    follow: bool,
    /// On this channel
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// After which it stood at this status; may be given several times
    #[arg(long = "status", value_name = "STATUS", value_parser = status_parser(&Status::ALL))]
    statuses: Vec<Status>,
    /// Of one of these types, with commas between
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = kind())]
    types: Vec<EventKind>,
    /// About this notification
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(Id).range(1..))]
    id: Option<Id>,
    /// Write JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// One type of event by its word; help, errors and completions name them.
fn kind() -> impl TypedValueParser<Value = EventKind> {
    PossibleValuesParser::new(EventKind::ALL.iter().map(|kind| kind.as_str()))
        .try_map(|word| word.parse::<EventKind>())
}

/// How much of the past is shown when nothing is said.
const RECENTLY: Duration = Duration::from_secs(3_600);

/// The time between two looks at whether anything was committed; a look costs microseconds.
const LOOK: Duration = Duration::from_millis(100);

/// How many events are looked at in one piece.
const PIECE: usize = 1_000;

/// Runs it.
pub fn run(context: &mut Context, args: EventsArgs) -> Result<Exit, Error> {
    let store = context.store(Access::Read)?;
    let mut next = begin(context, &*store, &args)?;
    let ids = Arc::new(args.id.into_iter().collect());
    let filter = EventFilter { channel: args.channel, statuses: args.statuses, ids, kinds: args.types };
    loop {
        // Asked before the look: what is committed in between shows at the next one.
        let version = store.version()?;
        loop {
            let told = store.events(next, &filter, PIECE)?;
            let more = told.more;
            next = told.next;
            show(context, told, args.json)?;
            if !more {
                break;
            }
        }
        context.out.flush()?;
        if !args.follow {
            return Ok(Exit::Ok);
        }
        while store.version()? == version {
            std::thread::sleep(LOOK);
            if context.out.reader_left() {
                return Ok(Exit::Ok);
            }
        }
    }
}

/// Where to begin.
fn begin(context: &Context, reader: &dyn Reader, args: &EventsArgs) -> Result<Cursor, Error> {
    let now = context.now();
    let since = match args.since.as_deref() {
        None if args.follow => None,
        None => Some(now.minus(RECENTLY)),
        Some(text) => match text.parse() {
            Ok(cursor) => return Ok(cursor),
            Err(_) => Some(past(text, now).map_err(|what| {
                Error::new(Exit::Usage, format!("--since: {what}"))
                    .hint("the `cursor` of an event, a duration ago like `2h`, or a time like `18:00`")
            })?),
        },
    };
    Ok(reader.cursor(since)?)
}

fn show(context: &mut Context, told: Events, json: bool) -> Result<(), Error> {
    let face = context.out.face(context.now());
    if let Some(before) = told.gap {
        match json {
            true => {
                context.out.json(&wire::Mark::gap(before))?;
            }
            false => {
                context.out.flush()?;
                say(wire::Mark::GAP);
            }
        }
    }
    for event in told.events {
        match json {
            true => context.out.json(&wire::Event::new(event, wire::Sight::Whole))?,
            false => context.out.line(line(&event, &face))?,
        }
    }
    Ok(())
}

/// One event for people: `14:03:22  settled    1042  mail  anna@example.org  dead: recipient_rejected, attempt 2`.
fn line(event: &Event, face: &Face) -> String {
    let at = face.paint(Paint::Dim, face.clock(event.at));
    let kind = face.paint(paint(event), format_args!("{:9}", event.kind));
    let id = event.id.map_or("-".to_owned(), |id| id.to_string());
    let recipient = event.recipient.as_deref().map(one_line).unwrap_or_default();
    let line =
        format!("{at}  {kind}  {id:>6}  {:10}  {recipient:24}  {}", one_line(&event.channel), what(event));
    line.trim_end().to_owned()
}

/// What more there is to say.
fn what(event: &Event) -> String {
    let attempt = event.attempt.map(|number| format!("attempt {number}"));
    let words = match (event.kind, event.status) {
        (EventKind::Attempt, Some(Status::Pending)) => {
            attempt.map(|attempt| format!("{attempt} did not begin"))
        }
        (EventKind::Attempt, _) => attempt,
        (EventKind::Settled, Some(status)) => {
            let why = event.reason.filter(|_| status != Status::Sent);
            let came_to = why.map_or(status.to_string(), |reason| format!("{status}: {reason}"));
            Some(attempt.map_or(came_to.clone(), |attempt| format!("{came_to}, {attempt}")))
        }
        (EventKind::Alert, _) if event.reason == Some(Reason::Accepted) => Some("it works again".to_owned()),
        (EventKind::Alert, _) => event.reason.map(|reason| format!("in trouble: {reason}")),
        (EventKind::Held | EventKind::Released, None) => {
            let why = event.detail.as_deref().map(one_line);
            Some(why.map_or("the channel".to_owned(), |why| format!("the channel: {why}")))
        }
        _ => None,
    };
    words.unwrap_or_default()
}

/// Its colour.
fn paint(event: &Event) -> Paint {
    match (event.kind, event.status) {
        (EventKind::Enqueued, _) => Paint::Plain,
        (EventKind::Alert, _) if event.reason == Some(Reason::Accepted) => Paint::Good,
        (EventKind::Alert, _) => Paint::Bad,
        (EventKind::Held, None) => Paint::Warn,
        (EventKind::Released, None) => Paint::Good,
        (EventKind::Settled, Some(Status::Pending)) => Paint::Warn,
        (_, Some(status)) => Paint::of(status),
        (_, None) => Paint::Plain,
    }
}
