//! Opening: the file and its directory, their modes, the file system, and the connection's settings.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind as Io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::{failure, io_failure};
use super::{migrate, owner, wal};
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
            write_ahead(&connection, path)?;
            migrate::migrate(&connection, path, now)?;
            // What cannot be moved now, on a full disk for one, is moved by whoever comes next.
            let _ = wal::begin_anew(&connection, path);
        }
    }
    Ok(connection)
}

/// What is appended to a store's name while it is made: nothing that anybody would call a file of their own, for it is
/// removed when it is there.
const UNMADE: &str = ".unmade";

/// The most links that lead to a store.
const LINKS: usize = 40;

/// Where the file itself is, should `path` be a link to it: as SQLite has it, its log and all else that belongs to it lies
/// beside the file.
pub(super) fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match std::fs::read_link(&path) {
            Ok(to) => path = path.with_file_name(to),
            // No link; or whoever opens it will say what is wrong.
            Err(_) => break,
        }
    }
    path
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the store under a lock on its directory: fifty shells may all be the first.
fn create(path: &Path, patience: Duration, now: Timestamp) -> Result<Connection> {
    let failed = |error: &std::io::Error| io_failure("create database", path, error);
    let directory = path.parent().unwrap_or(Path::new("/"));
    make_directory(directory).map_err(|error| io_failure("create directory", directory, &error))?;
    refuse_network(directory)?;
    let lock = lock_directory(path).map_err(|error| failed(&error))?;
    // Another one may have made it while this one waited.
    if std::fs::metadata(path).map_or(0, |found| found.len()) == 0 {
        refuse_log_alone(path)?;
        make(path, now)?;
    }
    let connection = connect(path, patience, Access::Create)?;
    migrate::migrate(&connection, path, now)?;
    // Names are durable when their directory is: that of the store, and that of its log, which has just been looked into.
    lock.sync_all().map_err(|error| failed(&error))?;
    Ok(connection)
}

/// The log of a store that somebody has taken away would be taken for the new one's own. It is not removed: it may hold
/// what was accepted, and those who have the old store open go on writing it.
fn refuse_log_alone(path: &Path) -> Result<()> {
    for log in ["-wal", "-journal"].map(|suffix| beside(path, suffix)) {
        if std::fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
            let what = "it is the log of a store that is gone".to_owned();
            return Err(Error {
                doing: "create database beside",
                path: log,
                what,
                kind: ErrorKind::LogAlone,
            });
        }
    }
    Ok(())
}

/// Makes it whole under another name first: a store that a power cut has left half made would be none that anybody
/// can open, and SQLite's own journal does not help as long as its name may be lost (`SQLITE_DISABLE_DIRSYNC`).
fn make(path: &Path, now: Timestamp) -> Result<()> {
    let failed = |error: std::io::Error| io_failure("create database", path, &error);
    let refused = |error: rusqlite::Error| failure("create database", path, &error);
    let unmade = beside(path, UNMADE);
    // What somebody who died here has left.
    for left in ["", "-journal", "-wal", "-shm"] {
        let left = beside(&unmade, left);
        match std::fs::remove_file(&left) {
            Err(error) if error.kind() != Io::NotFound => {
                return Err(io_failure("make way at", &left, &error));
            }
            _ => {}
        }
    }
    // The mode is set before SQLite writes the first byte; its log and its index inherit it.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unmade).map_err(failed)?;
    owner::give(&file, path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    let connection =
        Connection::open_with_flags(&unmade, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(refused)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(refused)?;
    migrate::migrate(&connection, path, now)?;
    // The log does not follow the file to its name. To close would move it too, but say nothing when it cannot.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(refused)?;
    connection.close().map_err(|(_, error)| refused(error))?;
    file.sync_all().and_then(|()| std::fs::rename(&unmade, path)).map_err(failed)
}

/// Gives a store a log that has none: a backup, which is one file, in the place of a store. With a journal in place of the log, who
/// reads would keep others from writing, and a power cut could take back what was accepted (`SQLITE_DISABLE_DIRSYNC`). What is no
/// store for us is left as it is.
fn write_ahead(connection: &Connection, path: &Path) -> Result<()> {
    let unread = |error: rusqlite::Error| failure("open database", path, &error);
    let refused = |error: rusqlite::Error| failure("give a log to database", path, &error);
    let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let has_one = connection.pragma_query_value(None, "journal_mode", mode).map_err(unread)? == "wal";
    if has_one || !migrate::is_fit(connection).map_err(unread)? {
        return Ok(());
    }
    let lock = lock_directory(path).map_err(|error| io_failure("give a log to database", path, &error))?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(refused)?;
    // With the first read the log is made.
    connection.pragma_query_value(None, "user_version", |_| Ok(())).map_err(refused)?;
    lock.sync_all().map_err(|error| io_failure("sync directory of", path, &error))
}

/// The directory of `path`, locked until it is dropped: the change to WAL mode tolerates no company.
fn lock_directory(path: &Path) -> std::io::Result<File> {
    let directory = File::open(path.parent().unwrap_or(Path::new("/")))?;
    directory.lock().map(|()| directory)
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
                // The file itself is not opened: to close it would cost this process the locks of its other connections.
                Ok(_) => match rustix::fs::access(path, rustix::fs::Access::READ_OK) {
                    Err(io) => io_failure("open database", path, &io.into()),
                    Ok(()) => failure("open database", path, error),
                },
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

    use super::super::Sqlite;
    use super::super::sql::sql;
    use super::*;
    use crate::store::{Admin, Reader, Writer};

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
        for left in ["n.db", "n.db.unmade", "n.db.unmade-journal", "n.db.unmade-wal", "n.db.unmade-shm"] {
            let torn = if left == "n.db" { "" } else { "torn" };
            std::fs::write(folder.path().join(left), torn).unwrap();
        }
        let connection = open(&path, Duration::from_secs(5), Access::Create, Timestamp(1)).unwrap();
        drop(connection);
        let mut names: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name.to_string_lossy().contains("unmade"));
        assert!(names.is_empty(), "{names:?}");
        open(&path, Duration::from_secs(5), Access::Read, Timestamp(1)).unwrap();
    }

    #[test]
    fn the_log_of_a_store_that_is_gone_is_not_taken_for_the_next_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.db");
        let create = || open(&path, Duration::from_secs(5), Access::Create, Timestamp(1));
        drop(create().unwrap());
        for log in ["n.db-wal", "n.db-journal"].map(|name| folder.path().join(name)) {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&log, "what was accepted").unwrap();
            let refused = create().unwrap_err();
            assert_eq!((refused.kind, &refused.path), (ErrorKind::LogAlone, &log));
            assert_eq!(std::fs::read(&log).unwrap(), b"what was accepted");
            assert!(!path.exists());
            // An empty one holds nothing.
            std::fs::write(&log, "").unwrap();
            drop(create().unwrap());
        }
    }

    #[test]
    fn a_backup_in_the_place_of_a_store_is_given_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let (first, path) = (folder.path().join("first.db"), folder.path().join("n.db"));
        let store = |path, access| Sqlite::open(path, Duration::from_secs(5), access, Timestamp(1));
        store(&first, Access::Create).unwrap().backup(&path).unwrap();
        drop(store(&path, Access::Read).unwrap());
        assert!(!wal::path(&path).exists(), "who only reads leaves it as it is");
        // All at once, as shells may come.
        std::thread::scope(|scope| {
            for access in [Access::Create, Access::Existing].repeat(8) {
                let path = &path;
                scope.spawn(move || {
                    store(path, access).unwrap().hold_channel(Timestamp(1), "mail", "").unwrap();
                });
            }
        });
        // Who reads keeps nobody from writing.
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM notifications").unwrap();
        let mut writer = Sqlite::open(&path, Duration::ZERO, Access::Existing, Timestamp(1)).unwrap();
        writer.hold_channel(Timestamp(1), "mail", "").unwrap();
        assert!(wal::path(&path).exists());
    }

    #[test]
    fn a_store_behind_a_link_is_made_there_with_all_that_belongs_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        std::fs::create_dir(&here).unwrap();
        let (link, path) = (here.join("n.db"), there.join("real.db"));
        std::os::unix::fs::symlink("../there/real.db", &link).unwrap();
        let open = |path| Sqlite::open(path, Duration::from_secs(5), Access::Create, Timestamp(1)).unwrap();
        let mut store = open(&link);
        let worker = store.register(Timestamp(1), "h").unwrap();
        worker.announce("sender", Timestamp(1)).unwrap();
        store.hold_channel(Timestamp(1), "mail", "").unwrap();
        let other = open(&path);
        assert_eq!(other.workers().unwrap().len(), 1, "they see each other");
        assert!(store.space().unwrap().log > 0);
        assert_eq!(std::fs::read_dir(&here).unwrap().count(), 1, "the link alone");
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("../there/real.db"));
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
