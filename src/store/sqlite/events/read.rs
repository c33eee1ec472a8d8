//! Reading what happened: what was enqueued and what else was done, as one order, from any place in it.

use std::ops::Bound::{Excluded, Included};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::entry::{Entry, MANY, unpack};
use crate::model::{Cursor, Event, EventFilter, EventKind, Id, Mark, Reason, Status, Timestamp, Touched};
use crate::store::Events;
use crate::store::sqlite::sql::sql;

/// What happened behind `after`, of `limit` events at most; all on one view of the store.
pub(in super::super) fn events(
    connection: &Connection,
    after: Cursor,
    filter: &EventFilter,
    limit: usize,
) -> rusqlite::Result<Events> {
    let view = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
    let end = end(&view)?;
    if after.enqueued > end.enqueued || after.told > end.told {
        // Of another store, or of this one before an older copy took its place.
        return Ok(Events { events: Vec::new(), next: end, gap: Some(end), more: false });
    }
    let mut page = Page { view: &view, filter, left: limit, next: after, gap: None, events: Vec::new() };
    let whole = page.fill(end)?;
    let Page { next, gap, events, .. } = page;
    Ok(Events { events, next, gap, more: !whole })
}

/// The place before the first event at or after `since`; the end of all when that is not said.
pub(in super::super) fn cursor(
    connection: &Connection,
    since: Option<Timestamp>,
) -> rusqlite::Result<Cursor> {
    let view = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
    let end = end(&view)?;
    let Some(since) = since else { return Ok(end) };
    let mut told = view.prepare_cached(sql!("event_moment"))?;
    let mut enqueued = view.prepare_cached(sql!("enqueued_moment"))?;
    // The search may end inside a row; what is meant is all of it.
    let told_at = |from| told.query_row([from], |row| Ok((row.get(0)?, row.get(1)?))).optional();
    let told = first_since(since, end.told, told_at)?;
    let enqueued_at = |from: i64| enqueued.query_row([from], |row| Ok((from - 1, row.get(0)?))).optional();
    let enqueued = first_since(since, end.enqueued, enqueued_at)?;
    Ok(Cursor { enqueued, told })
}

/// The lowest number before one whose time is not before `since`, of 1 to `last`; by halves.
fn first_since(
    since: Timestamp,
    last: i64,
    mut look: impl FnMut(i64) -> rusqlite::Result<Option<(i64, Timestamp)>>,
) -> rusqlite::Result<i64> {
    let (mut from, mut to, mut before) = (1, last.saturating_add(1), last);
    while from < to {
        let middle = from + (to - from) / 2;
        match look(middle)? {
            Some((_, at)) if at < since => from = middle + 1,
            found => {
                to = middle;
                before = found.map_or(before, |(start, _)| start);
            }
        }
    }
    Ok(before)
}

fn end(connection: &Connection) -> rusqlite::Result<Cursor> {
    let read = |row: &Row<'_>| Ok(Cursor { enqueued: row.get(0)?, told: row.get(1)? });
    connection.prepare_cached(sql!("events_end"))?.query_row([], read)
}

/// How far the store has come.
pub(in super::super) fn mark(connection: &Connection) -> rusqlite::Result<Mark> {
    let read = |row: &Row<'_>| Ok(Mark { change: row.get(0)?, epoch: row.get(1)? });
    connection.prepare_cached(sql!("mark"))?.query_row([], read)
}

/// Which notifications changed after the change `after`, without a look at them; which is not said when some of those
/// changes are not kept any more, cannot be read, are more than `limit`, or are of another store.
pub(in super::super) fn touched(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Touched> {
    let view = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
    let through = mark(&view)?.change;
    let unknown = Touched { through, ids: None };
    if after > through || through - after > limit as u64 {
        return Ok(unknown);
    }
    let mut query = view.prepare_cached(sql!("events"))?;
    let mut rows = query.query([after])?;
    let (mut next, mut ids) = (after, Vec::new());
    while let Some(row) = rows.next()? {
        let (last, count): (u64, i64) = (row.get(0)?, row.get(3)?);
        let entries = unpack(row.get_ref(4)?.as_bytes().unwrap_or_default(), count);
        // A row may begin before `after`: then more is told than is needed, which does no harm.
        let (Some(entries), true) = (entries, last.saturating_sub(count.unsigned_abs()) <= next) else {
            return Ok(unknown);
        };
        ids.extend(entries.iter().filter_map(Entry::id));
        if ids.contains(&MANY) {
            return Ok(unknown);
        }
        next = last;
    }
    Ok(if next == through { Touched { through, ids: Some(ids) } } else { unknown })
}

/// One row of the ring.
struct Told {
    last: i64,
    at: Timestamp,
    enqueued: Id,
    count: i64,
}

/// What is gathered, and how far.
struct Page<'a> {
    view: &'a Connection,
    filter: &'a EventFilter,
    /// How many events may still be looked at.
    left: usize,
    next: Cursor,
    gap: Option<Cursor>,
    events: Vec<Event>,
}

impl Page<'_> {
    /// Goes on until `end`; false when there was more than it may look at.
    fn fill(&mut self, end: Cursor) -> rusqlite::Result<bool> {
        let mut query = self.view.prepare_cached(sql!("events"))?;
        let mut rows = query.query([self.next.told])?;
        while let Some(row) = rows.next()? {
            let told = Told { last: row.get(0)?, at: row.get(1)?, enqueued: row.get(2)?, count: row.get(3)? };
            let start = told.last - told.count;
            let entries = unpack(row.get_ref(4)?.as_bytes().unwrap_or_default(), told.count);
            if start > self.next.told || entries.is_none() {
                // What is not there any more, or cannot be read, is said; before anything that came after it.
                if !self.events.is_empty() {
                    return Ok(false);
                }
                self.next.told = if entries.is_none() { told.last } else { start };
                self.gap = Some(self.next);
            }
            let done = usize::try_from(self.next.told - start).unwrap_or(usize::MAX);
            if !self.enqueued(told.enqueued)? {
                return Ok(false);
            }
            for entry in entries.unwrap_or_default().into_iter().skip(done) {
                if !self.look() {
                    return Ok(false);
                }
                self.told(entry, told.at)?;
            }
        }
        self.enqueued(end.enqueued)
    }

    /// Takes one off what may be looked at; false when nothing is left.
    fn look(&mut self) -> bool {
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    /// What was enqueued up to and with `to`; false when it is not all of it.
    fn enqueued(&mut self, to: Id) -> rusqlite::Result<bool> {
        let (from, filter) = (self.next.enqueued, self.filter);
        let first = filter.ids.first().copied();
        if from < to && filter.may_mean(EventKind::Enqueued, first, Some(Status::Pending)) {
            if first.is_none() {
                if !self.enqueued_between(from, to)? {
                    return Ok(false);
                }
            } else {
                for &id in filter.ids.range((Excluded(from), Included(to))) {
                    if !self.enqueued_between(id.saturating_sub(1), id)? {
                        return Ok(false);
                    }
                }
            }
        }
        self.next.enqueued = from.max(to);
        Ok(true)
    }

    /// Those of the ids behind `from`, up to and with `to`; false when it is not all of them.
    fn enqueued_between(&mut self, from: Id, to: Id) -> rusqlite::Result<bool> {
        let mut query = self.view.prepare_cached(sql!("event_enqueued"))?;
        let mut rows = query.query(params![from, to])?;
        while let Some(row) = rows.next()? {
            if !self.look() {
                return Ok(false);
            }
            let id: Id = row.get(0)?;
            self.next.enqueued = id;
            self.keep(Event {
                batch_id: row.get(4)?,
                recipient: row.get(3)?,
                ..plain(EventKind::Enqueued, row.get(1)?, Some(id), row.get(2)?, Some(Status::Pending))
            });
        }
        Ok(true)
    }

    /// One entry of a row that was written at `at`. Of a notification that has been purged since, nothing is told.
    fn told(&mut self, entry: Entry, at: Timestamp) -> rusqlite::Result<()> {
        self.next.told += 1;
        let (id, number, kind, status) = match entry {
            Entry::Channel { channel, kind, reason, detail } => {
                let event = plain(kind, at, None, channel, None);
                let detail = Some(detail).filter(|detail| !detail.is_empty());
                if self.filter.may_mean(kind, None, None) {
                    self.keep(Event { reason, detail, ..event });
                }
                return Ok(());
            }
            Entry::Noted { .. } => return Ok(()),
            Entry::Claimed { id, number } => (id, Some(number), EventKind::Attempt, Status::Sending),
            Entry::GivenBack { id, number } => (id, Some(number), EventKind::Attempt, Status::Pending),
            Entry::Settled { id, number, status } => (id, Some(number), EventKind::Settled, status),
            Entry::Steered { id, kind } => (id, None, kind, left_by(kind)),
        };
        if !self.filter.may_mean(kind, Some(id), Some(status)) {
            return Ok(());
        }
        let mut about = self.view.prepare_cached(sql!("event_about"))?;
        let found = about.query_row([id], |row| {
            let event = plain(kind, at, Some(id), row.get(0)?, Some(status));
            Ok(Event { recipient: row.get(1)?, batch_id: row.get(2)?, ..event })
        });
        let Some(mut event) = found.optional()? else { return Ok(()) };
        event.attempt = number.filter(|number| *number > 0);
        match (kind, event.attempt) {
            (EventKind::Settled, Some(number)) => self.came_to(&mut event, id, number)?,
            (EventKind::Settled, None) => event.reason = Some(Reason::Unsendable),
            _ => {}
        }
        self.keep(event);
        Ok(())
    }

    /// What the attempt came to, from its own row.
    fn came_to(&self, event: &mut Event, id: Id, number: u32) -> rusqlite::Result<()> {
        let mut attempt = self.view.prepare_cached(sql!("event_attempt"))?;
        let found = attempt.query_row(params![id, number], |row| {
            (event.at, event.outcome, event.reason) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(())
        });
        found.optional().map(drop)
    }

    fn keep(&mut self, event: Event) {
        if self.filter.means(&event) {
            self.events.push(Event { cursor: self.next, ..event });
        }
    }
}

/// Where a verb leaves what it was applied to.
fn left_by(kind: EventKind) -> Status {
    match kind {
        EventKind::Held => Status::Held,
        EventKind::Cancelled => Status::Cancelled,
        EventKind::Expired => Status::Expired,
        _ => Status::Pending,
    }
}

fn plain(kind: EventKind, at: Timestamp, id: Option<Id>, channel: String, status: Option<Status>) -> Event {
    Event {
        cursor: Cursor::default(),
        kind,
        at,
        id,
        channel,
        status,
        recipient: None,
        batch_id: None,
        attempt: None,
        outcome: None,
        reason: None,
        detail: None,
    }
}
