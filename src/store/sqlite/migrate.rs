//! The schema and its versions: forward only, and a newer one is refused untouched.
//!
//! Locking: one immediate transaction; whoever comes second finds the work done.
//! Compatibility: `application_id` says that the file is ours, `user_version` how far it is.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::failure::failure;
use crate::model::Timestamp;
use crate::store::{Error, ErrorKind, Result};

/// "NTFY": marks the file as a store of ours.
const APPLICATION_ID: i64 = 0x4e54_4659;

/// Every step of the schema, in order; a step that has been released is never changed again.
const STEPS: &[&str] = &[
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/migrations/0001_initial.sql")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/migrations/0002_seen_at.sql")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/migrations/0003_tokens.sql")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/migrations/0004_events.sql")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/migrations/0005_key_of.sql")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/migrations/0006_deferred_since.sql")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/migrations/0007_request_keys.sql")),
];

/// The version that this notifyctl reads and writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// What the file says of itself: application id and version.
fn marks(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((read("application_id")?, read("user_version")?))
}

/// Whether the file is ours, and no newer than we are.
pub(super) fn is_fit(connection: &Connection) -> rusqlite::Result<bool> {
    let (application, version) = marks(connection)?;
    Ok(application == APPLICATION_ID && version <= VERSION)
}

/// Refuses a file that is not ours or is newer than we are; does not write.
pub(super) fn refuse_unfit(connection: &Connection, path: &Path) -> Result<()> {
    let (application, version) = marks(connection).map_err(|error| failure("open database", path, &error))?;
    let refuse =
        |what: String, kind| Err(Error { doing: "open database", path: path.to_owned(), what, kind });
    if application != APPLICATION_ID {
        return refuse("it is a database, but not one of notifyctl's".into(), ErrorKind::NotAStore);
    }
    if version > VERSION {
        let what = format!("its schema is version {version}, and this notifyctl knows {VERSION} at most");
        return refuse(what, ErrorKind::Newer);
    }
    if version < VERSION {
        let what = format!("its schema is version {version}, and this notifyctl reads {VERSION} alone");
        return refuse(what, ErrorKind::Older);
    }
    Ok(())
}

/// Brings the schema to [`VERSION`]; a file that is there already costs two look-ups.
pub(super) fn migrate(connection: &Connection, path: &Path, now: Timestamp) -> Result<()> {
    let failed = |error: rusqlite::Error| failure("migrate database", path, &error);
    if marks(connection).map_err(failed)? == (APPLICATION_ID, VERSION) {
        return Ok(());
    }
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(failed)?;
    let (application, version) = marks(&transaction).map_err(failed)?;
    if application == 0 && version == 0 && is_empty(&transaction).map_err(failed)? {
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    } else if application != APPLICATION_ID || version > VERSION {
        return refuse_unfit(&transaction, path);
    }
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    if version == 0 {
        name(&transaction, now).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Gives the new store what every Message-ID is made of.
fn name(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let id: String = connection.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))?;
    connection.execute(
        "INSERT INTO store (one, store_id, message_domain, created_at) VALUES (1, ?1, ?2, ?3)",
        params![id, message_domain(), now],
    )?;
    Ok(())
}

/// The host's name as the right side of a Message-ID; a name that cannot be one is replaced.
fn message_domain() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let fit = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| !label.is_empty())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if fit { host } else { "notifyctl.invalid".into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Content, Id, NewNotification};
    use crate::store::sqlite::Sqlite;
    use crate::store::{Access, Admin, Enqueued, Portion, Reader, RequestKey, Taken, Writer};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// A store as a notifyctl of that version would have left it, with a list of two that was posted under the key `old`.
    fn of_version(path: &Path, version: usize) {
        let store = Connection::open(path).unwrap();
        STEPS[..version].iter().for_each(|step| store.execute_batch(step).unwrap());
        store.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        store.pragma_update(None, "user_version", version as i64).unwrap();
        name(&store, NOW).unwrap();
        let posted = format!(
            "INSERT INTO channels (name, accepted, pending) VALUES ('c', 2, 2);
             INSERT INTO batches (created_at, source, first_id, last_id, accepted, pending)
                 VALUES ({now}, 'http', 1, 2, 2, 2);
             INSERT INTO notifications (message, status, channel, recipient, parts, priority, batch_id, created_at,
                 next_attempt_at) VALUES ('m', 'pending', 'c', 'a', 0, 2, 1, {now}, {now}),
                                         ('m', 'pending', 'c', 'b', 0, 2, 1, {now}, {now});
             INSERT INTO idempotency_keys (key, recipient, notification_id, expires_at)
                 VALUES ('old/1', 'a', 1, {later}), ('old/2', 'b', 2, {later});",
            now = NOW.0,
            later = NOW.0 + 60_000,
        );
        store.execute_batch(&posted).unwrap();
    }

    fn list(key: &str, recipients: &[&str]) -> Portion {
        let request = RequestKey { key: key.into(), sha256: [recipients.len() as u8; 32] };
        let one = |(number, recipient): (usize, &&str)| NewNotification {
            channel: "c".into(),
            idempotency_key: Some(request.of_row(number)),
            content: Content { recipient: (*recipient).into(), message: "m".into(), ..Content::default() },
            ..NewNotification::default()
        };
        let new = (1..).zip(recipients).map(one).collect();
        let key_expires_at = NOW.plus(Duration::from_secs(60));
        Portion { new, key_expires_at, batch: Some("http".into()), request: Some(request) }
    }

    #[test]
    fn a_store_of_any_earlier_version_is_brought_to_this_one_and_knows_its_keys() {
        for version in 1..STEPS.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("n.db");
            of_version(&path, version);
            let mut store = Sqlite::open(&path, Duration::ZERO, Access::Existing, NOW).unwrap();
            assert_eq!(store.identity().unwrap().schema_version, VERSION);
            let mut take = |portion: Portion| store.enqueue_portions(NOW, &[portion]).unwrap().remove(0);
            let known = |ids: [Id; 2]| ids.map(|id| Enqueued { id, created: false }).to_vec();
            let as_before = |batch, ids| Taken::Whole { batch: Some(batch), new: known(ids) };
            assert_eq!(take(list("old", &["a", "b"])), as_before(1, [1, 2]), "{version}");
            // What it was as a whole nobody had kept; that it was something else is seen all the same.
            for other in [&["b", "a"][..], &["a", "b", "c"], &["c"]] {
                assert_eq!(take(list("old", other)), Taken::KeyUsed { since: None }, "{version}: {other:?}");
            }
            let mut alone = list("old", &["a"]);
            alone.new[0].idempotency_key = Some("old".into());
            assert_eq!(take(alone), Taken::KeyUsed { since: None }, "{version}");
            assert!(
                matches!(take(list("new", &["a", "b"])), Taken::Whole { batch: Some(2), new } if new[0].created)
            );
            assert_eq!(
                take(list("new", &["b", "a"])),
                as_before(2, [3, 4]),
                "by what it was, and not by its rows"
            );
            assert_eq!(take(list("new", &["a"])), Taken::KeyUsed { since: Some(NOW) }, "{version}");
            assert_eq!(store.check().unwrap(), [], "{version}");
        }
    }
}
