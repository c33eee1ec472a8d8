//! Opening: the file and its directory, their modes, the file system, and the connection's settings.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind as Io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::{failure, io_failure};
use super::{migrate, wal};
use crate::model::Timestamp;
use crate::store::{Access, Error, ErrorKind, Result};

/// Opens `path` as `access` allows and gives a connection that is ready to be used.
pub(super) fn open(path: &Path, patience: Duration, access: Access, now: Timestamp) -> Result<Connection> {
    let missing = match std::fs::metadata(path) {
        Ok(found) => found.len() == 0,
        Err(error) if error.kind() == Io::NotFound => true,
        Err(error) => return Err(io_failure("open database", path, &error)),
    };
    if access == Access::Create && missing {
        return create(path, patience, now);
    }
    if missing && !path.exists() {
        return Err(Error {
            doing: "open database",
            path: path.to_owned(),
            what: "there is no store yet".into(),
            kind: ErrorKind::Missing,
        });
    }
    // Asked once more after it: a last one who closes may have taken the log away meanwhile, and from here on nobody can.
    let new_name = wal::is_new(path, now);
    let connection = connect(path, patience, access)?;
    if new_name || wal::is_new(path, now) {
        sync_names(path, access)?;
    }
    match access {
        Access::Read => migrate::refuse_unfit(&connection, path)?,
        Access::Create | Access::Existing => {
            migrate::migrate(&connection, path, now)?;
            // What cannot be moved now, on a full disk for one, is moved by whoever comes next.
            let _ = wal::begin_anew(&connection, path);
        }
    }
    Ok(connection)
}

/// What is appended to a store's name while it is made.
const UNMADE: &str = ".new";

/// Makes the store under a lock on its directory: the change to WAL mode tolerates no company, and fifty
/// shells may all be the first.
fn create(path: &Path, patience: Duration, now: Timestamp) -> Result<Connection> {
    let failed = |error: &std::io::Error| io_failure("create database", path, error);
    let directory = path.parent().unwrap_or(Path::new("/"));
    make_directory(directory).map_err(|error| io_failure("create directory", directory, &error))?;
    refuse_network(directory)?;
    let lock = File::open(directory).map_err(|error| failed(&error))?;
    lock.lock().map_err(|error| failed(&error))?;
    // Another one may have made it while this one waited.
    if std::fs::metadata(path).map_or(0, |found| found.len()) == 0 {
        make(path, now)?;
    }
    let connection = connect(path, patience, Access::Create)?;
    migrate::migrate(&connection, path, now)?;
    // Names are durable when their directory is: that of the store, and that of its log, which has just been looked into.
    lock.sync_all().map_err(|error| failed(&error))?;
    Ok(connection)
}

/// Makes it whole under another name first: a store that a power cut has left half made would be none that anybody
/// can open, and SQLite's own journal does not help as long as its name may be lost (`SQLITE_DISABLE_DIRSYNC`).
fn make(path: &Path, now: Timestamp) -> Result<()> {
    let failed = |error: std::io::Error| io_failure("create database", path, &error);
    let refused = |error: rusqlite::Error| failure("create database", path, &error);
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let unmade = beside(UNMADE);
    // What somebody who died here has left.
    for left in ["", "-journal", "-wal", "-shm"] {
        let left = beside(&format!("{UNMADE}{left}"));
        match std::fs::remove_file(&left) {
            Err(error) if error.kind() != Io::NotFound => {
                return Err(io_failure("make way at", &left, &error));
            }
            _ => {}
        }
    }
    // The mode is set before SQLite writes the first byte; its log and its index inherit it.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unmade).map_err(failed)?;
    let connection =
        Connection::open_with_flags(&unmade, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(refused)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(refused)?;
    migrate::migrate(&connection, path, now)?;
    // The log does not follow the file to its name. To close would move it too, but say nothing when it cannot.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(refused)?;
    connection.close().map_err(|(_, error)| refused(error))?;
    file.sync_all().and_then(|()| std::fs::rename(&unmade, path)).map_err(failed)
}

/// Makes the names beside `path` durable: the log is made with the first connection, and what is synced into it is
/// worth nothing without its name. SQLite would do so in each process; once for each log is enough.
fn sync_names(path: &Path, access: Access) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        Err(error) if access != Access::Read => Err(io_failure("sync directory", directory, &error)),
        // Who only reads may not be able to; who writes next sees to it.
        _ => Ok(()),
    }
}

/// Makes the directory, with what leads to it, durably: an entry is as durable as the directory that holds it.
///
/// One that is there may be the work of another process that has not come to its sync yet.
fn make_directory(directory: &Path) -> std::io::Result<()> {
    let Some(parent) = directory.parent() else { return Ok(()) };
    if !parent.exists() {
        make_directory(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == Io::AlreadyExists && directory.is_dir() => {}
        made => made?,
    }
    match File::open(parent).and_then(|parent| parent.sync_all()) {
        // Who may not read it cannot sync it: an administrator made what is in it, long ago.
        Err(error) if error.kind() == Io::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// WAL needs memory shared between its users: a network file system cannot give it, and corrupts.
fn refuse_network(directory: &Path) -> Result<()> {
    /// NFS, SMB, CIFS, SMB2, 9p, FUSE is left to its owner.
    const NETWORK: [i64; 5] = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997];
    let stat = rustix::fs::statfs(directory)
        .map_err(|error| io_failure("look at file system of", directory, &error.into()))?;
    if NETWORK.contains(&(stat.f_type as i64)) {
        return Err(Error {
            doing: "create database in",
            path: directory.to_owned(),
            what: "a network file system cannot carry SQLite's shared log".into(),
            kind: ErrorKind::Unfit,
        });
    }
    Ok(())
}

fn connect(path: &Path, patience: Duration, access: Access) -> Result<Connection> {
    let failed = |error: &rusqlite::Error| match error.sqlite_error_code() {
        // SQLite says only "unable to open"; the file system says why.
        Some(rusqlite::ErrorCode::CannotOpen) => {
            match OpenOptions::new().read(true).open(path.parent().unwrap_or(path)) {
                Err(io) => io_failure("open database", path, &io),
                Ok(_) => failure("open database", path, error),
            }
        }
        _ => failure("open database", path, error),
    };
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Create | Access::Existing => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(&error))?;
    settle_in(&connection, patience, access).map_err(|error| failed(&error))?;
    Ok(connection)
}

fn settle_in(connection: &Connection, patience: Duration, access: Access) -> rusqlite::Result<()> {
    connection.busy_timeout(patience)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A file may come from elsewhere: nothing in its schema is trusted.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Else SQLite looks at what is bound while it plans, and plans the heads of the queue anew in each claim. Nothing of ours
    // is planned better for it: what makes an index fit stands in the text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if access == Access::Read { Ok(()) } else { wal::settle_in(connection) }
}

#[cfg(test)]
mod tests {
    use rusqlite::{StatementStatus, params};

    use super::super::sql::sql;
    use super::*;

    /// How often the head of a queue is planned again while it is asked for with other values.
    fn planned_again(connection: &Connection) -> i32 {
        let mut head = connection.prepare(sql!("claim_head")).unwrap();
        for limit in [64, 1, 0, 500, 7] {
            let mut rows = head.query(params!["mail", 2, limit % 2 == 0, 1_000, limit]).unwrap();
            assert!(rows.next().unwrap().is_none());
        }
        head.get_status(StatementStatus::RePrepare)
    }

    #[test]
    fn a_store_that_somebody_died_over_while_making_it_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.db");
        for left in ["n.db", "n.db.new", "n.db.new-journal", "n.db.new-wal", "n.db.new-shm"] {
            let torn = if left == "n.db" { "" } else { "torn" };
            std::fs::write(folder.path().join(left), torn).unwrap();
        }
        let connection = open(&path, Duration::from_secs(5), Access::Create, Timestamp(1)).unwrap();
        drop(connection);
        let mut names: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name.to_string_lossy().contains("new"));
        assert!(names.is_empty(), "{names:?}");
        open(&path, Duration::from_secs(5), Access::Read, Timestamp(1)).unwrap();
    }

    #[test]
    fn a_statement_is_planned_once_whatever_is_bound_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.db");
        let connection = open(&path, Duration::from_secs(5), Access::Create, Timestamp(1)).unwrap();
        assert_eq!(planned_again(&connection), 0);
        // As SQLite would by itself.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, false).unwrap();
        assert_ne!(planned_again(&connection), 0);
    }
}
