//! Keys against duplicates: that of a notification guards it for its recipient, that of a request all of it.

use rusqlite::{Connection, OptionalExtension, params};

use super::content;
use super::sql::sql;
use crate::model::{Id, NewNotification, Timestamp};
use crate::store::{Enqueued, Notification, RequestKey, Taken};

/// How many expired keys each use of a key removes.
const FORGOTTEN: i64 = 4;

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
    (now, expires_at): (Timestamp, Timestamp),
    (key, recipient): (&str, &str),
    id: Id,
) -> rusqlite::Result<()> {
    connection.prepare_cached(sql!("keys_forget"))?.execute(params![now, FORGOTTEN])?;
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

/// Remembers the key of a request that came to the notifications from `first` to `last`.
pub(super) fn remember_request(
    connection: &Connection,
    expires_at: Timestamp,
    request: &RequestKey,
    (first, last): (Id, Id),
) -> rusqlite::Result<()> {
    let mut remember = connection.prepare_cached(sql!("key_request_remember"))?;
    remember.execute(params![request.key, first, expires_at, request.sha256, last]).map(drop)
}

/// Whether both say the same, but for their times: those that are told as a wait differ each time.
pub(super) fn is_same(one: &NewNotification, other: &NewNotification) -> bool {
    one.channel == other.channel
        && one.user_id == other.user_id
        && one.priority == other.priority
        && one.content == other.content
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
    Ok(content == new.content)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::Access;

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
        for sql in [sql!("key_find"), sql!("key_of"), sql!("key_request"), sql!("key_used")] {
            let looks = |step: &String| step.contains("SCAN") && !step.contains("SCAN CONSTANT ROW");
            let steps = plan(sql);
            assert!(!steps.is_empty() && !steps.iter().any(looks), "{sql}: {steps:?}");
        }
        assert!(plan("SELECT 1 FROM idempotency_keys WHERE last_id = ?")[0].contains("SCAN"), "control");
    }
}
