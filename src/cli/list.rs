//! `notifyctl list`: List notifications.

use super::face::{Face, Paint, count};
use super::selection::{FilterArgs, explain_empty};
use super::table::{Column, Table};
use super::{Context, Error, Exit, output};
use crate::model::Status;
use crate::store::{Access, Filter, Order, Page, Store, shapes};
use crate::{units, wire};

/// List notifications
///
/// The newest first. On a terminal the first 50 as a table cut to its width; elsewhere all of them, and
/// nothing is cut off.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0, also when nothing matches; 66 when the batch does not exist.")]
pub struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many [default: 50 on a terminal, else all]
    #[arg(long, value_name = "N", conflicts_with = "all", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Without a limit
    #[arg(long)]
    all: bool,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// Write JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// How many are shown on a terminal when nothing is said.
const ON_A_TERMINAL: u64 = 50;

/// Runs it.
pub fn run(context: &mut Context, args: ListArgs) -> Result<Exit, Error> {
    let now = context.now();
    let filter = args.filter.filter(now)?;
    let store = context.store(Access::Read)?;
    let limit = match args.limit {
        Some(limit) => limit,
        None if !args.all && !args.json && context.out.is_terminal() => ON_A_TERMINAL,
        None => u64::MAX,
    };
    let order = if args.oldest_first { Order::OldestFirst } else { Order::NewestFirst };
    let mut pages = Pages { store: &*store, filter: &filter, order, after: None, left: limit };
    let mut shown = 0;
    if args.json {
        while let Some(rows) = pages.next()? {
            shown += rows.len();
            rows.into_iter().try_for_each(|row| context.out.json(&row))?;
        }
    } else {
        let face = context.out.face(now);
        let mut widths = None;
        while let Some(rows) = pages.next()? {
            shown += rows.len();
            let table = table(&rows, widths.as_deref(), &face);
            // The titles stand above the first page alone.
            let skip = usize::from(widths.is_some());
            widths = Some(table.widths());
            table.lines().skip(skip).try_for_each(|line| context.out.line(line))?;
        }
    }
    if shown == 0 {
        explain_empty(context, &*store, &filter)?;
    } else if args.limit.is_none() && pages.left == 0 && pages.more()? {
        context.out.flush()?;
        output::say(format_args!("there are more than these {}; --all lists them all", count(limit)));
    }
    Ok(Exit::Ok)
}

/// A listing, page by page; each page is read afresh, so that a long one keeps nothing in the store alive.
struct Pages<'a> {
    store: &'a dyn Store,
    filter: &'a Filter,
    order: Order,
    after: Option<crate::model::Id>,
    left: u64,
}

impl Pages<'_> {
    fn next(&mut self) -> Result<Option<Vec<wire::Summary>>, Error> {
        let limit = usize::try_from(self.left).unwrap_or(Page::LIMIT).min(Page::LIMIT);
        if limit == 0 {
            return Ok(None);
        }
        let page = Page { order: self.order, after: self.after, limit };
        let rows = self.store.list(self.filter, &page)?;
        self.after = rows.last().map(|row| row.id);
        self.left -= rows.len() as u64;
        Ok((!rows.is_empty()).then(|| rows.into_iter().map(shapes::summary).collect()))
    }

    /// Whether the limit left something out.
    fn more(&self) -> Result<bool, Error> {
        let page = Page { order: self.order, after: self.after, limit: 1 };
        Ok(!self.store.list(self.filter, &page)?.is_empty())
    }
}

const COLUMNS: [Column; 8] = [
    Column::number("id"),
    Column::word("status"),
    Column::word("channel"),
    Column::text("to"),
    Column::text("subject"),
    Column::word("due/settled"),
    Column::text("why"),
    Column::word("enqueued"),
];

/// A terminal with fewer columns than this shows no moment of enqueueing: texts need the room more.
const ROOMY: u16 = 100;

/// One with fewer than this shows of each which it is, where it stands and for whom.
const NARROW: u16 = 70;

/// What is shown there, by place.
const OF_NARROW: [usize; 4] = [0, 1, 3, 5];
const NARROW_COLUMNS: [Column; 4] = [COLUMNS[0], COLUMNS[1], COLUMNS[3], COLUMNS[5]];

fn table(rows: &[wire::Summary], widths: Option<&[u16]>, face: &Face) -> Table {
    let is_narrow = face.width.is_some_and(|width| width < NARROW);
    let columns = match face.width {
        Some(width) if width < NARROW => &NARROW_COLUMNS[..],
        Some(width) if width < ROOMY => &COLUMNS[..COLUMNS.len() - 1],
        _ => &COLUMNS[..],
    };
    let mut table = Table::new(*face, columns);
    if let Some(widths) = widths {
        table.at_least(widths);
    }
    for row in rows {
        let cells = [
            (Paint::Plain, row.id.to_string()),
            (Paint::of(row.status), row.status.to_string()),
            (Paint::Plain, row.channel.clone()),
            (Paint::Plain, row.recipient.clone()),
            (Paint::Plain, row.subject.clone().unwrap_or_default()),
            (Paint::Plain, next(row, face)),
            (Paint::Dim, why(row)),
            (Paint::Dim, when(row.created_at, face)),
        ];
        let shown = cells.into_iter().enumerate().filter(|(at, _)| !is_narrow || OF_NARROW.contains(at));
        table.row(shown.map(|(_, cell)| cell).take(columns.len()));
    }
    table
}

/// A person reads distances, a file is read later.
fn when(at: crate::model::Timestamp, face: &Face) -> String {
    match face.width {
        Some(_) => units::ago(at, face.now),
        None => wire::rfc3339(at),
    }
}

/// What happens next, or when the last thing happened.
fn next(row: &wire::Summary, face: &Face) -> String {
    match (row.status, row.next_attempt_at, row.settled_at) {
        (Status::Pending, Some(at), _) if at <= face.now => "due".to_owned(),
        (Status::Pending, Some(at), _) => when(at, face),
        (_, _, Some(at)) => when(at, face),
        _ => "-".to_owned(),
    }
}

fn why(row: &wire::Summary) -> String {
    match (row.reason.filter(|_| row.status != Status::Sent), row.attempts) {
        (Some(reason), n) if n > 1 => format!("{reason} ({n} attempts)"),
        (Some(reason), _) => reason.to_string(),
        (None, _) => String::new(),
    }
}
