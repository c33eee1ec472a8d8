//! Proofs, sizes and copies for an administrator; the only questions that read all of history.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::failure::{failure, io_failure};
use super::sql::sql;
use super::trouble;
use crate::model::Status;
use crate::store::{Finding, Result, TableStats};

/// Every check, on one view of the store.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let view = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
    let mut findings = integrity(&view)?;
    accounting(&view, &mut findings)?;
    counters(&view, &mut findings)?;
    batches(&view, &mut findings)?;
    troubles(&view, &mut findings)?;
    strays(&view, &mut findings)?;
    Ok(findings)
}

fn integrity(connection: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut query = connection.prepare("PRAGMA integrity_check(20)")?;
    let lines = query.query_map([], |row| row.get::<_, String>(0))?;
    let mut findings = Vec::new();
    for line in lines {
        let what = line?;
        if what != "ok" {
            findings.push(Finding { check: "integrity", what });
        }
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
pub(super) fn stats(connection: &Connection, path: &Path) -> rusqlite::Result<Vec<TableStats>> {
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
pub(super) fn backup(connection: &Connection, path: &Path, to: &Path) -> Result<()> {
    let io_failed = |error: &std::io::Error| io_failure("write backup", to, error);
    if to.exists() {
        return Err(io_failed(&std::io::ErrorKind::AlreadyExists.into()));
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(partial)
        .map_err(|error| io_failed(&error))?;
    let copied = copy(connection, partial).map_err(|error| failure("back up database", path, &error));
    let done = copied.and_then(|()| {
        File::open(partial).and_then(|file| file.sync_all()).map_err(|error| io_failed(&error))?;
        // A link, unlike a rename, does not replace what appeared meanwhile.
        std::fs::hard_link(partial, to).map_err(|error| io_failed(&error))?;
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|file| file.sync_all()).map_err(|error| {
            // What may be gone after a power cut is no copy; and its name is free for the next attempt.
            let _ = std::fs::remove_file(to);
            io_failed(&error)
        })
    });
    // Only our own leftovers: the copy has its name by now, or is of no use.
    let _ = std::fs::remove_file(partial);
    done
}

fn copy(connection: &Connection, to: &Path) -> rusqlite::Result<()> {
    let mut target = Connection::open(to)?;
    // One view of the store for all of it: without, each commit of somebody else would begin the copy anew, and on a
    // store that is written all the time it would never end.
    let view = connection.unchecked_transaction()?;
    view.query_row(sql!("identity"), [], |_| Ok(()))?;
    Backup::new(connection, &mut target)?.run_to_completion(BITE.0, BITE.1, None)?;
    // One file, without a log beside it.
    target.pragma_update(None, "journal_mode", "delete")?;
    target.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    target.close().map_err(|(_, error)| error)
}
