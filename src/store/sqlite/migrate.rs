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
