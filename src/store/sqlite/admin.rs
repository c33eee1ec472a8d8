//! Proofs, sizes and copies for an administrator; the only questions that read all of history.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, fcntl_lock, renameat_with, statvfs};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::failure::{failure, io_failure};
use super::sql::sql;
use super::{Sqlite, counters, trouble};
use crate::model::Status;
use crate::store::{Admin, Error, ErrorKind, Finding, Result, TableStats};

impl Admin for Sqlite {
    fn check(&self) -> Result<Vec<Finding>> {
        self.read(check)
    }

    fn recount(&mut self) -> Result<()> {
        self.write("count anew what is in", |connection| {
            counters::recount(connection)?;
            trouble::forget_unreadable(connection)
        })
    }

    fn stats(&self) -> Result<Vec<TableStats>> {
        self.read(|connection| stats(connection, &self.path))
    }

    fn backup(&self, to: &Path) -> Result<()> {
        backup(&self.connection, &self.path, to)
    }
}

/// Every check, on one view of the store.
fn check(connection: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let view = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
    let mut findings = integrity(&view)?;
    let is_damaged = !findings.is_empty();
    match accounts(&view, &mut findings) {
        // What cannot be read is no news in a file whose damage is known by now.
        Err(_) if is_damaged => Ok(findings),
        counted => counted.map(|()| findings),
    }
}

fn accounts(view: &Connection, findings: &mut Vec<Finding>) -> rusqlite::Result<()> {
    accounting(view, findings)?;
    counters(view, findings)?;
    batches(view, findings)?;
    troubles(view, findings)?;
    strays(view, findings)
}

fn integrity(connection: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut query = connection.prepare("PRAGMA integrity_check(20)")?;
    let lines = query.query_map([], |row| row.get::<_, String>(0))?;
    let mut findings = Vec::new();
    for line in lines {
        let what = match line {
            Ok(what) if what == "ok" => continue,
            Ok(what) => what,
            // The damage may end the look at it: that is an answer.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => error.to_string(),
            Err(error) => return Err(error),
        };
        findings.push(Finding { check: "integrity", what });
    }
    Ok(findings)
}

fn accounting(connection: &Connection, findings: &mut Vec<Finding>) -> rusqlite::Result<()> {
    let mut query = connection.prepare(sql!("check_accounting"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (channel, accepted, there): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let what = format!("channel {channel}: accepted {accepted}, accounted for {there}");
        findings.push(Finding { check: "accounting", what });
    }
    Ok(())
}

fn counters(connection: &Connection, findings: &mut Vec<Finding>) -> rusqlite::Result<()> {
    let mut there: BTreeMap<(String, Status), i64> = BTreeMap::new();
    let mut query = connection.prepare(sql!("check_counters"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        there.insert((row.get(0)?, row.get(1)?), row.get(2)?);
    }
    // As they stand: below nothing too.
    let mut query = connection.prepare(sql!("counts"))?;
    let mut counters = query.query([])?;
    while let Some(row) = counters.next()? {
        let channel: String = row.get(0)?;
        for (column, status) in (3..).zip(Status::ALL) {
            let counter: i64 = row.get(column)?;
            let rows = there.remove(&(channel.clone(), status)).unwrap_or(0);
            if rows != counter {
                let what = format!("channel {channel}: {rows} are {status}, the counter says {counter}");
                findings.push(Finding { check: "counters", what });
            }
        }
    }
    for ((channel, status), rows) in there {
        let what = format!("channel {channel}: {rows} are {status}, and no counter knows the channel");
        findings.push(Finding { check: "counters", what });
    }
    Ok(())
}

fn batches(connection: &Connection, findings: &mut Vec<Finding>) -> rusqlite::Result<()> {
    let mut query = connection.prepare(sql!("check_batches"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (batch, counted, there): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let what = format!("batch {batch}: {there} are there, the counter says {counted}");
        findings.push(Finding { check: "batches", what });
    }
    Ok(())
}

fn troubles(connection: &Connection, findings: &mut Vec<Finding>) -> rusqlite::Result<()> {
    for channel in trouble::unreadable(connection)? {
        let what = format!("channel {channel}: what is kept of its trouble cannot be read");
        findings.push(Finding { check: "channels", what });
    }
    Ok(())
}

fn strays(connection: &Connection, findings: &mut Vec<Finding>) -> rusqlite::Result<()> {
    let mut query = connection.prepare(sql!("check_strays"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (what, count): (String, i64) = (row.get(0)?, row.get(1)?);
        if count > 0 {
            findings.push(Finding {
                check: "strays",
                what: format!("{count} {what} without what they belong to"),
            });
        }
    }
    let unrecorded: i64 = connection.query_row(sql!("check_attempts"), [], |row| row.get(0))?;
    if unrecorded > 0 {
        let what = format!("{unrecorded} notifications have another number of attempts than they count");
        findings.push(Finding { check: "attempts", what });
    }
    Ok(())
}

/// The sizes of tables and indexes, and of the file and its log.
fn stats(connection: &Connection, path: &Path) -> rusqlite::Result<Vec<TableStats>> {
    let mut stats = Vec::new();
    let mut query = connection.prepare(sql!("stats"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        stats.push(TableStats { name: row.get(0)?, rows: None, bytes: row.get(1)? });
    }
    for table in &mut stats {
        let mut is_table = connection
            .prepare_cached("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1")?;
        if is_table.query_row([&table.name], |row| row.get::<_, i64>(0))? > 0 {
            let count = format!("SELECT count(*) FROM \"{}\"", table.name);
            table.rows = Some(connection.query_row(&count, [], |row| row.get(0))?);
        }
    }
    let page: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let free: u64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    stats.push(TableStats { name: "free".into(), rows: None, bytes: free * page });
    stats.push(TableStats { name: "file".into(), rows: None, bytes: size(path) });
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    stats.push(TableStats { name: "log".into(), rows: None, bytes: size(Path::new(&log)) });
    Ok(stats)
}

/// Pages copied at a time, and the pause between, so that writers come through.
const BITE: (i32, Duration) = (1_000, Duration::from_millis(2));

/// A consistent copy: into a file beside the target, synced, then renamed.
fn backup(connection: &Connection, path: &Path, to: &Path) -> Result<()> {
    let io_failed = |error: &io::Error| io_failure("write backup", to, error);
    if to.exists() {
        return Err(io_failed(&Errno::EXIST.into()));
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let file = begin(partial).map_err(|error| io_failure("write backup", partial, &error))?;
    let done = copy(connection, path, partial).and_then(|_open| {
        file.sync_all().map_err(|error| io_failed(&error))?;
        name(partial, to).map_err(|error| io_failed(&error))?;
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|file| file.sync_all()).map_err(|error| {
            // What may be gone after a power cut is no copy; and its name is free for the next attempt.
            let _ = std::fs::remove_file(to);
            io_failed(&error)
        })
    });
    if done.is_err() {
        let _ = std::fs::remove_file(partial);
    }
    done
}

/// The file that a copy is written into, locked. What a backup that was
/// killed has left there goes; where another one is at work, or what is there is nobody's copy, it exists.
fn begin(partial: &Path) -> io::Result<File> {
    let make = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial);
    let file = make().or_else(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists || !is_left(partial)? {
            return Err(error);
        }
        ["", "-journal", "-wal", "-shm"].into_iter().try_for_each(|end| {
            let mut left = partial.as_os_str().to_owned();
            left.push(end);
            std::fs::remove_file(left).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
        })?;
        make()
    })?;
    // Until SQLite, in the same process, has taken it over.
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
    match file.metadata()?.nlink() {
        // Taken for a leftover by another backup, before it was locked.
        0 => Err(Errno::EXIST.into()),
        _ => Ok(file),
    }
}

/// Whether it was begun by a backup that is at work no more: empty or SQLite's, and locked by nobody.
fn is_left(partial: &Path) -> io::Result<bool> {
    const HEAD: &[u8] = b"SQLite format 3\0";
    if !std::fs::symlink_metadata(partial)?.is_file() {
        return Ok(false);
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(partial)?;
    let mut head = Vec::new();
    (&file).take(HEAD.len() as u64).read_to_end(&mut head)?;
    let is_ours =
        file.metadata()?.is_file() && HEAD.starts_with(&head) && [0, HEAD.len()].contains(&head.len());
    Ok(is_ours && fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?.is_none())
}

/// Gives a whole copy its name, and replaces nothing. Not by a hard link: not every file system that copies go to has them.
fn name(partial: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, partial, CWD, to, RenameFlags::NOREPLACE) {
        // Not known there (NFS, some of FUSE).
        Err(Errno::INVAL | Errno::NOSYS) if !to.exists() => std::fs::rename(partial, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(Errno::EXIST.into()),
        renamed => renamed.map_err(Into::into),
    }
}

/// Its connection is handed back open: the lock of [`begin`] ends with it.
fn copy(connection: &Connection, path: &Path, to: &Path) -> Result<Connection> {
    let unread = |error| failure("back up database", path, &error);
    let unwritten = |error| failure("write backup", to, &error);
    // One view of the store for all of it: without, each commit of somebody else would begin the copy anew, and on a
    // store that is written all the time it would never end.
    let view = connection.unchecked_transaction().map_err(unread)?;
    view.query_row(sql!("identity"), [], |_| Ok(())).map_err(unread)?;
    if let Some(what) = lack_of_room(&view, path, to).map_err(unread)? {
        return Err(Error { doing: "write backup", path: to.to_owned(), what, kind: ErrorKind::Full });
    }
    let mut target = Connection::open(to).map_err(unwritten)?;
    // SQLite keeps its lock until it closes the file. And whatever is cut short is of no use: nothing is noted for going back.
    target.pragma_update(None, "locking_mode", "exclusive").map_err(unwritten)?;
    target.pragma_update(None, "journal_mode", "memory").map_err(unwritten)?;
    Backup::new(connection, &mut target)
        .and_then(|copying| copying.run_to_completion(BITE.0, BITE.1, None))
        // Only the copy grows meanwhile.
        .map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => unwritten(error),
            _ => unread(error),
        })?;
    // One file, without a log beside it.
    target.pragma_update(None, "journal_mode", "memory").map_err(unwritten)?;
    // Copies of a damaged store would in time take the place of every sound one.
    if let Some(found) = damage(&target).map_err(unwritten)? {
        // The disk under the copy may be the one that fails; the store says which.
        return Err(match damage(&view).map_err(unread)? {
            Some(found) => Error {
                doing: "back up database",
                path: path.to_owned(),
                what: format!("it is damaged, and no copy is kept: {found}"),
                kind: ErrorKind::Corrupt,
            },
            None => Error {
                doing: "write backup",
                path: to.to_owned(),
                what: format!("the store is sound, what came back of its copy is not: {found}"),
                kind: ErrorKind::Io,
            },
        });
    }
    target.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(unwritten)?;
    Ok(target)
}

/// On the store's own disk a copy that has no room is not begun: it would take what the store itself needs meanwhile.
fn lack_of_room(view: &Connection, path: &Path, to: &Path) -> rusqlite::Result<Option<String>> {
    let number = |name| view.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let needed = number("page_count")? * number("page_size")?;
    let device = |path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
    let free = statvfs(to).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let lacks = device(path) == device(to) && free < needed;
    Ok(lacks.then(|| format!("no space left: it takes {needed} bytes, and {free} are free")))
}

/// The first thing that is wrong with a file, in SQLite's words.
fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(found) if found == "ok" => Ok(None),
        Ok(found) => Ok(Some(found.lines().last().unwrap_or_default().to_owned())),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(error),
    }
}
