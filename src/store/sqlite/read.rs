//! The reading half: short statements, each with a fresh view, so that no reader pins the log.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use super::filter::Conditions;
use super::sql::sql;
use super::{content, counters, migrate, trouble, windows};
use crate::model::{Id, Rate, RateWindow, Timestamp};
use crate::store::{
    Attempt, Batch, ChannelState, Counts, Due, Filter, Identity, Notification, Order, Page, PassRecord,
    RateState, Summary, User,
};

pub(super) fn identity(connection: &Connection) -> rusqlite::Result<Identity> {
    connection.prepare_cached(sql!("identity"))?.query_row([], |row| {
        Ok(Identity { store_id: row.get(0)?, message_domain: row.get(1)?, schema_version: migrate::VERSION })
    })
}

pub(super) fn get(connection: &Connection, id: Id) -> rusqlite::Result<Option<Notification>> {
    let mut query = connection.prepare_cached(sql!("get"))?;
    let found = query
        .query_row([id], |row| {
            let parts: i64 = row.get(16)?;
            let headers: Option<String> = row.get(15)?;
            let notification = Notification {
                summary: summary(row)?,
                content: crate::model::Content {
                    recipient: row.get(6)?,
                    subject: row.get(7)?,
                    message: row.get(14)?,
                    headers: headers.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
                    html: None,
                    attachments: Vec::new(),
                },
                attachments: Vec::new(),
                not_before: row.get(17)?,
                idempotency_key: None,
                key_expires_at: None,
                retries: row.get(18)?,
                crashes: row.get(19)?,
                lease_expires_at: row.get(20)?,
                worker: row.get(21)?,
            };
            Ok((notification, parts))
        })
        .optional()?;
    let Some((mut notification, parts)) = found else { return Ok(None) };
    if parts > 0 {
        notification.attachments = content::read_texts(connection, id, &mut notification.content)?;
    }
    let mut key = connection.prepare_cached(sql!("key_of"))?;
    let key = key.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    (notification.idempotency_key, notification.key_expires_at) = key.unzip();
    Ok(Some(notification))
}

/// Reads the fourteen columns of a summary.
fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        batch_id: row.get(1)?,
        user_id: row.get(2)?,
        channel: row.get(3)?,
        status: row.get(4)?,
        priority: row.get(5)?,
        recipient: row.get(6)?,
        subject: row.get(7)?,
        created_at: row.get(8)?,
        next_attempt_at: row.get(9)?,
        expires_at: row.get(10)?,
        settled_at: row.get(11)?,
        attempts: row.get(12)?,
        reason: row.get(13)?,
    })
}

pub(super) fn attempts(connection: &Connection, id: Id) -> rusqlite::Result<Vec<Attempt>> {
    let mut query = connection.prepare_cached(sql!("attempts"))?;
    let rows = query.query_map([id], |row| {
        Ok(Attempt {
            number: row.get(0)?,
            worker: row.get(1)?,
            started_at: row.get(2)?,
            ended_at: row.get(3)?,
            outcome: row.get(4)?,
            reason: row.get(5)?,
            detail: row.get(6)?,
            late: row.get(7)?,
        })
    })?;
    rows.collect()
}

/// What is settled between two statements is otherwise shown as under way, with an attempt that has ended.
pub(super) fn history(
    connection: &Connection,
    id: Id,
) -> rusqlite::Result<Option<(Notification, Vec<Attempt>)>> {
    let view = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
    let Some(row) = get(&view, id)? else { return Ok(None) };
    let attempts = if row.summary.attempts > 0 { attempts(&view, id)? } else { Vec::new() };
    Ok(Some((row, attempts)))
}

pub(super) fn list(connection: &Connection, filter: &Filter, page: &Page) -> rusqlite::Result<Vec<Summary>> {
    let after = page.after.map(|id| (page.order, id));
    let conditions = Conditions::new(filter, after, page.limit.min(Page::LIMIT));
    let order = match page.order {
        Order::NewestFirst => "DESC",
        Order::OldestFirst => "ASC",
    };
    let text = sql!("list").replace("{where}", conditions.text()).replace("{order}", order);
    let mut query = connection.prepare_cached(&text)?;
    query.query_map(conditions.values().as_slice(), summary)?.collect()
}

pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let mut query = connection.prepare_cached(sql!("counts"))?;
    let mut rows = query.query([])?;
    let mut all = Counts::default();
    while let Some(row) = rows.next()? {
        let (name, (counts, wrong)): (String, _) = (row.get(0)?, counters::read(row, 1)?);
        if wrong {
            all.wrong.push(name.clone());
        }
        all.channels.insert(name, counts);
    }
    Ok(all)
}

pub(super) fn due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<Due>> {
    let mut first = connection.prepare_cached(sql!("due"))?;
    let mut next = connection.prepare_cached(sql!("next_due"))?;
    let firsts =
        first.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<Timestamp>>(1)?)))?;
    firsts
        .map(|row| {
            let (channel, first) = row?;
            let next_due_at = next.query_row(rusqlite::params![channel, now], |row| row.get(0))?;
            Ok(Due { channel, oldest_due_at: first.filter(|at| *at <= now), next_due_at })
        })
        .collect()
}

pub(super) fn batch(connection: &Connection, id: Id) -> rusqlite::Result<Option<Batch>> {
    let mut query = connection.prepare_cached(sql!("batch"))?;
    let found = query.query_row([id], |row| {
        Ok(Batch {
            id: row.get(0)?,
            created_at: row.get(1)?,
            source: row.get(2)?,
            counts: counters::read(row, 3)?.0,
        })
    });
    found.optional()
}

pub(super) fn channels(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<ChannelState>> {
    let mut query = connection.prepare_cached(sql!("channel_states"))?;
    let states = query.query_map([], |row| Ok((row.get::<_, String>(0)?, trouble::read(row, 1)?)))?;
    states
        .map(|row| {
            let (channel, (held, breaker)) = row?;
            let rates = rates(connection, &channel, now)?;
            Ok(ChannelState { channel, held, breaker: breaker.unwrap_or_default(), rates })
        })
        .collect()
}

fn rates(connection: &Connection, channel: &str, now: Timestamp) -> rusqlite::Result<Vec<RateState>> {
    let windows = windows::of_channel(connection, channel, now)?;
    let state = |(rate, window): (Rate, RateWindow)| RateState {
        rate,
        used: window.used(now),
        next_free_at: window.next_free(now),
    };
    Ok(windows.into_iter().map(state).collect())
}

pub(super) fn last_pass(connection: &Connection) -> rusqlite::Result<Option<PassRecord>> {
    let mut query = connection.prepare_cached(sql!("last_pass"))?;
    let found = query.query_row([], |row| {
        Ok(PassRecord {
            worker: row.get(0)?,
            started_at: row.get(1)?,
            ended_at: row.get(2)?,
            sent: row.get(3)?,
            deferred: row.get(4)?,
            dead: row.get(5)?,
            expired: row.get(6)?,
            held: row.get(7)?,
        })
    });
    found.optional()
}

pub(super) fn user(connection: &Connection, id: &str) -> rusqlite::Result<Option<User>> {
    let mut query = connection.prepare_cached(sql!("user"))?;
    let found = query.query_row([id], |row| {
        Ok(User { id: row.get(0)?, name: row.get(1)?, recipient: row.get(2)?, updated_at: row.get(3)? })
    });
    found.optional()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
    use std::time::Duration;

    use super::super::Sqlite;
    use super::*;
    use crate::model::{Attachment, Content, NewNotification, Status, Timestamp};
    use crate::store::{Access, Claim, Exchange, GiveBack, Reader, Writer};

    #[test]
    fn one_notification_is_found_and_not_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (path, patience) = (folder.path().join("n.db"), Duration::ZERO);
        let opened = super::super::open::open(&path, patience, Access::Create, Timestamp(1));
        let connection = opened.unwrap();
        let plan = |sql: &str| -> Vec<String> {
            let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            query.query_map([1], |row| row.get("detail")).unwrap().collect::<Result<_, _>>().unwrap()
        };
        for sql in
            [sql!("get"), sql!("attempts"), sql!("key_of"), sql!("parts"), sql!("parts_shown"), sql!("batch")]
        {
            let steps = plan(sql);
            assert!(!steps.is_empty() && !steps.iter().any(|step| step.contains("SCAN")), "{sql}: {steps:?}");
        }
        assert!(plan("SELECT 1 FROM notifications WHERE attempts = ?")[0].contains("SCAN"), "control");
    }

    /// One that is claimed and given back, over and over, is looked at meanwhile.
    #[test]
    fn a_notification_and_its_attempts_are_of_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let path = folder.path().join("n.db");
            Sqlite::open(&path, Duration::from_secs(30), Access::Create, Timestamp(1)).unwrap()
        };
        let mut store = open();
        let new = NewNotification { channel: "c".into(), ..NewNotification::default() };
        let id = store.enqueue(Timestamp(2), Timestamp(3), &[new]).unwrap()[0].id;
        let (looks, over) = ([const { AtomicU32::new(0) }; 2], AtomicBool::new(false));
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let reader = open();
                while !over.load(Relaxed) {
                    let (row, attempts) = reader.history(id).unwrap().unwrap();
                    let is_sending = row.summary.status == Status::Sending;
                    assert_eq!(
                        (attempts.len(), row.summary.attempts),
                        (is_sending.into(), is_sending.into())
                    );
                    looks[usize::from(is_sending)].fetch_add(1, Relaxed);
                }
            });
            let are_many = || looks.iter().all(|looks| looks.load(Relaxed) >= 20);
            for lease_token in 0.. {
                if lease_token >= 200 && are_many() || looking.is_finished() {
                    break;
                }
                let claim = Claim {
                    channel: "c".into(),
                    limit: 1,
                    rates: Vec::new(),
                    lease: Duration::from_secs(60),
                    lease_token,
                };
                let round = Exchange { now: Timestamp(3), claim: vec![claim], ..Exchange::default() };
                let claimed = store.exchange(&round).unwrap().claims[0].claimed[0].clone();
                let unused = GiveBack {
                    id,
                    attempt: claimed.attempt,
                    lease_token,
                    channel: claimed.channel,
                    batch_id: None,
                    uncounted: false,
                };
                let round = Exchange { now: Timestamp(3), give_back: vec![unused], ..Exchange::default() };
                store.exchange(&round).unwrap();
            }
            over.store(true, Relaxed);
        });
    }

    /// How many bytes this thread has read so far.
    fn bytes_read() -> u64 {
        let told = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        told.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    }

    #[test]
    fn what_an_attachment_holds_is_not_read_to_show_it() {
        const BYTES: usize = 8 << 20;
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let path = folder.path().join("n.db");
            Sqlite::open(&path, Duration::from_secs(5), Access::Create, Timestamp(1)).unwrap()
        };
        let attachment =
            Attachment { name: "a".into(), media_type: "text/plain".into(), content: vec![b'x'; BYTES] };
        let html = Some("<p>hello".to_owned());
        let content = Content { html: html.clone(), attachments: vec![attachment], ..Content::default() };
        let new = NewNotification { channel: "mail".into(), content, ..NewNotification::default() };
        let id = open().enqueue(Timestamp(2), Timestamp(3), &[new]).unwrap()[0].id;
        let store = open();
        let before = bytes_read();
        let shown = store.get(id).unwrap().unwrap();
        let read = bytes_read() - before;
        assert!(read < (BYTES / 8) as u64, "{read}");
        assert_eq!((shown.attachments[0].size, shown.content.html), (BYTES as u64, html));
        let mut whole = Content::default();
        content::read_parts(&store.connection, id, &mut whole).unwrap();
        assert!(bytes_read() - before > BYTES as u64, "control");
    }
}
