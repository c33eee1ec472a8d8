//! Keys against duplicates: that of a notification guards it for its recipient, that of a request all of it.

use rusqlite::{Connection, OptionalExtension, params};

use super::content;
use super::sql::sql;
use crate::model::{Id, NewNotification, Timestamp};
use crate::store::{Enqueued, Notification, RequestKey, Taken};

/// How many expired keys each new one takes along, and how many go in one transaction at most: others wait for it.
const FEW: usize = 4;
const AT_ONCE: usize = 128;

/// How many go with each bite of a purge.
pub(super) const BITE: usize = 250;

/// The expired keys that go in one transaction, a few with each new one.
pub(super) struct Forgets {
    left: usize,
}

impl Default for Forgets {
    fn default() -> Self {
        Self { left: AT_ONCE }
    }
}

impl Forgets {
    /// To be called with each new key.
    pub(super) fn some(&mut self, connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        let few = FEW.min(self.left);
        if few > 0 {
            let gone = forget(connection, now, few)?;
            // Where there were no more, nobody looks again.
            self.left = if gone < few { 0 } else { self.left - gone };
        }
        Ok(())
    }
}

/// Removes `most` of the keys whose window was over at `by`, and says how many there were.
pub(super) fn forget(connection: &Connection, by: Timestamp, most: usize) -> rusqlite::Result<usize> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    connection.prepare_cached(sql!("keys_forget"))?.execute(params![by, most])
}

/// The notification for which the key was used before, for this recipient.
pub(super) fn find(
    connection: &Connection,
    now: Timestamp,
    key: &str,
    recipient: &str,
) -> rusqlite::Result<Option<Id>> {
    let mut find = connection.prepare_cached(sql!("key_find"))?;
    find.query_row(params![key, recipient, now], |row| row.get(0)).optional()
}

pub(super) fn remember(
    connection: &Connection,
    expires_at: Timestamp,
    (key, recipient): (&str, &str),
    id: Id,
) -> rusqlite::Result<()> {
    let mut remember = connection.prepare_cached(sql!("key_remember"))?;
    remember.execute(params![key, recipient, id, expires_at]).map(drop)
}

/// What is answered to a request whose key belongs to one that was accepted: the same, or that this is another one.
pub(super) fn request(
    connection: &Connection,
    now: Timestamp,
    request: &RequestKey,
) -> rusqlite::Result<Option<Taken>> {
    let mut find = connection.prepare_cached(sql!("key_request"))?;
    let answer = find.query_row(params![request.key, now], |row| {
        if row.get::<_, [u8; 32]>(0)? != request.sha256 {
            return Ok(Taken::KeyUsed { since: row.get(3)? });
        }
        let all = row.get::<_, Id>(1)?..=row.get(2)?;
        let new = all.map(|id| Enqueued { id, created: false }).collect();
        Ok(Taken::Whole { batch: row.get(4)?, new })
    });
    answer.optional()
}

/// Whether the key of a request was used for anything: for one that kept no more than the keys of its notifications, as
/// earlier versions did, or by hand.
pub(super) fn is_used(
    connection: &Connection,
    now: Timestamp,
    request: &RequestKey,
) -> rusqlite::Result<bool> {
    let mut used = connection.prepare_cached(sql!("key_used"))?;
    used.query_row(params![request.key, request.of_row(1), now], |row| row.get(0))
}

/// What a request came to.
pub(super) struct Came {
    /// Its notifications, which stand side by side.
    pub(super) first: Id,
    pub(super) last: Id,
    pub(super) batch: Option<Id>,
    pub(super) at: Timestamp,
}

/// Remembers the key of a request.
pub(super) fn remember_request(
    connection: &Connection,
    expires_at: Timestamp,
    request: &RequestKey,
    came: &Came,
) -> rusqlite::Result<()> {
    let mut remember = connection.prepare_cached(sql!("key_request_remember"))?;
    let Came { first, last, batch, at } = came;
    remember.execute(params![request.key, first, expires_at, request.sha256, last, batch, at]).map(drop)
}

/// Whether both say the same, but for their times: those that are told as a wait differ each time.
pub(super) fn is_same(one: &NewNotification, other: &NewNotification) -> bool {
    one.channel == other.channel
        && one.user_id == other.user_id
        && one.priority == other.priority
        && one.content.is_like(&other.content)
}

/// The same for one that is in the store.
pub(super) fn is_stored(
    connection: &Connection,
    old: &Notification,
    new: &NewNotification,
) -> rusqlite::Result<bool> {
    let is_like = old.summary.channel == new.channel
        && old.summary.user_id == new.user_id
        && old.summary.priority == new.priority;
    let kept = old.attachments.iter().map(|one| (&one.name, &one.media_type, one.size));
    let files = new.content.attachments.iter();
    if !is_like || !kept.eq(files.map(|one| (&one.name, &one.media_type, one.content.len() as u64))) {
        return Ok(false);
    }
    let mut content = old.content.clone();
    // Read when all that is known of them is right.
    if !old.attachments.is_empty() {
        content::read_parts(connection, old.summary.id, &mut content)?;
    }
    Ok(content.is_like(&new.content))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Content, Status};
    use crate::store::sqlite::Sqlite;
    use crate::store::{Access, Portion, Purge, Writer};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// A store in which so many keys have expired at so many milliseconds before [`NOW`].
    fn with_expired(path: &std::path::Path, keys: i64) -> (Sqlite, Connection) {
        let store = Sqlite::open(path, Duration::ZERO, Access::Create, NOW).unwrap();
        let looks = Connection::open(path).unwrap();
        let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
            INSERT INTO idempotency_keys (key, recipient, notification_id, expires_at)
            SELECT 'old' || i, 'r', i, ?2 - i FROM n";
        looks.execute(insert, params![keys, NOW]).unwrap();
        (store, looks)
    }

    fn left(looks: &Connection) -> i64 {
        let sql = "SELECT count(*) FROM idempotency_keys WHERE expires_at <= ?1";
        looks.query_row(sql, [NOW], |row| row.get(0)).unwrap()
    }

    fn list(key: &str, rows: usize) -> Portion {
        let request = RequestKey { key: key.into(), sha256: [1; 32] };
        let one = |number| NewNotification {
            channel: "c".into(),
            idempotency_key: Some(request.of_row(number)),
            content: Content { recipient: "r".into(), message: "m".into(), ..Content::default() },
            ..NewNotification::default()
        };
        let new = (1..=rows).map(one).collect();
        Portion {
            new,
            key_expires_at: NOW.plus(Duration::from_secs(60)),
            batch: None,
            request: Some(request),
        }
    }

    /// Whoever comes with many keys does not clear away all that is old while everybody waits.
    #[test]
    fn expired_keys_go_a_few_at_a_time_and_the_rest_with_a_purge() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, looks) = with_expired(&folder.path().join("n.db"), 2_000);
        store.enqueue_portions(NOW, &[list("one", 1)]).unwrap();
        let few = 2_000 - left(&looks);
        assert!((2..=16).contains(&few), "{few}");
        store.enqueue_portions(NOW, &[list("many", 400), list("more", 400)]).unwrap();
        let many = 2_000 - few - left(&looks);
        assert!((100..=256).contains(&many), "{many}");
        let purge = |age| {
            let settled_before = NOW.minus(Duration::from_millis(age));
            Purge { statuses: vec![Status::Sent], settled_before, now: NOW, from: 0, limit: 100 }
        };
        // What the clock has only just run out for stays: it may be ahead.
        let mut bites = 0;
        for (age, stay) in [(1_001, 1_000), (0, 0)] {
            let mut purge = purge(age);
            while let Some(next) = store.purge(&purge).unwrap().next {
                purge.from = next;
                bites += 1;
                assert!(bites < 100, "it comes to an end");
            }
            assert_eq!(left(&looks), stay);
        }
        assert!(bites > 0, "not all at once");
    }

    #[test]
    fn a_key_is_found_and_not_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.db");
        let opened = super::super::open::open(&path, Duration::ZERO, Access::Create, Timestamp(1));
        let connection = opened.unwrap();
        let plan = |sql: &str| -> Vec<String> {
            let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            query.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap()
        };
        for sql in
            [sql!("key_find"), sql!("key_of"), sql!("key_request"), sql!("key_used"), sql!("keys_forget")]
        {
            let looks = |step: &String| step.contains("SCAN") && !step.contains("SCAN CONSTANT ROW");
            let steps = plan(sql);
            assert!(!steps.is_empty() && !steps.iter().any(looks), "{sql}: {steps:?}");
        }
        assert!(plan("SELECT 1 FROM idempotency_keys WHERE last_id = ?")[0].contains("SCAN"), "control");
        // Nor are all the expired recipients of one key read past.
        let steps = plan(sql!("key_used"));
        assert!(steps.iter().any(|step| step.contains("key=? AND expires_at>?")), "{steps:?}");
    }
}
