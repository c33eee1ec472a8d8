//! What an operator does to notifications: cancel, hold, release, requeue.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row};

use super::counters::Counters;
use super::filter::Conditions;
use super::sql::sql;
use crate::model::{EventKind, Id, Status, Timestamp};
use crate::store::{Changed, Filter, Selection};

/// A verb: what it applies to, and what becomes of it.
pub(super) struct Verb {
    from: &'static [Status],
    to: Status,
    told: EventKind,
    statement: &'static str,
}

pub(super) const CANCEL: Verb = Verb {
    from: &[Status::Pending, Status::Held],
    to: Status::Cancelled,
    told: EventKind::Cancelled,
    statement: sql!("cancel"),
};
pub(super) const HOLD: Verb =
    Verb { from: &[Status::Pending], to: Status::Held, told: EventKind::Held, statement: sql!("hold") };
pub(super) const RELEASE: Verb = Verb {
    from: &[Status::Held],
    to: Status::Pending,
    told: EventKind::Released,
    statement: sql!("release"),
};
pub(super) const REQUEUE: Verb = Verb {
    from: &[Status::Dead, Status::Expired, Status::Cancelled],
    to: Status::Pending,
    told: EventKind::Requeued,
    statement: sql!("requeue"),
};

/// Where one notification stands, as much as steering needs.
pub(super) struct Standing {
    pub(super) id: Id,
    pub(super) channel: String,
    pub(super) batch: Option<Id>,
    pub(super) status: Status,
}

impl Standing {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, channel: row.get(1)?, batch: row.get(2)?, status: row.get(3)? })
    }
}

/// Applies a verb in the transaction that is open.
pub(super) fn steer(
    connection: &Connection,
    verb: &Verb,
    now: Timestamp,
    which: &Selection,
) -> rusqlite::Result<Changed> {
    let mut changed = Changed::default();
    let mut counters = Counters::at(now);
    for one in find(connection, verb, which, &mut changed.missing)? {
        if !verb.from.contains(&one.status) {
            changed.refused.push((one.id, one.status));
            continue;
        }
        connection.prepare_cached(verb.statement)?.execute(params_of(verb, one.id, now).as_slice())?;
        counters.moved(&one.channel, one.batch, one.status, verb.to);
        counters.told.steered(one.id, verb.told);
        changed.changed.push(one.id);
    }
    counters.write(connection)?;
    Ok(changed)
}

/// `hold` is the one verb whose statement knows no time.
fn params_of(verb: &Verb, id: Id, now: Timestamp) -> Vec<(&'static str, rusqlite::types::Value)> {
    let mut values = vec![("?1", id.into())];
    if verb.to != Status::Held {
        values.push(("?2", now.0.into()));
    }
    values
}

fn find(
    connection: &Connection,
    verb: &Verb,
    which: &Selection,
    missing: &mut Vec<Id>,
) -> rusqlite::Result<Vec<Standing>> {
    match which {
        Selection::Ids(ids) => {
            let mut found = Vec::with_capacity(ids.len());
            let mut query = connection.prepare_cached(sql!("one"))?;
            let mut seen = HashSet::with_capacity(ids.len());
            for &id in ids.iter().filter(|id| seen.insert(**id)) {
                match query.query_row([id], Standing::read).optional()? {
                    Some(one) => found.push(one),
                    None => missing.push(id),
                }
            }
            Ok(found)
        }
        Selection::Matching { filter, limit } => {
            let statuses = match filter.statuses.is_empty() {
                true => verb.from.to_vec(),
                false => {
                    verb.from.iter().copied().filter(|status| filter.statuses.contains(status)).collect()
                }
            };
            let mut found = Vec::new();
            // One status at a time: each has a partial index of its own. The oldest of all of them are meant.
            for status in statuses {
                let filter = Filter { statuses: vec![status], ..filter.clone() };
                let conditions = Conditions::new(&filter, None, *limit);
                let mut query =
                    connection.prepare_cached(&sql!("select").replace("{where}", conditions.text()))?;
                for one in query.query_map(conditions.values().as_slice(), Standing::read)? {
                    found.push(one?);
                }
            }
            found.sort_unstable_by_key(|one| one.id);
            found.truncate(*limit);
            Ok(found)
        }
    }
}
