//! The write-ahead log: who moves it into the database file, when, and what is left of it.
//!
//! Whoever opens the store alone reads the whole log first, and whoever moves it pays two syncs: a short log is
//! right for commands that live for one commit, a long one for a pass. A log that stays where it is and is
//! written over needs no new blocks: its sync is a third of one that makes the file grow. So a command that
//! finds it long moves it before its own commit, which then begins it anew, and nobody removes it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rustix::fs::{AtFlags, CWD, StatVfsMountFlags, StatxFlags, statvfs, statx};

use crate::model::Timestamp;
use crate::store::Space;

/// Pages in the log after which the next command moves them and begins the log anew.
/// Measured by the bench `enqueue`: 64 cost least over hundreds of commands.
const SHORT: u64 = 64;

/// Pages of room that the file keeps. A longer one is of a pass or of a batch: a command leaves it to them while
/// they are there, and to the last one who closes when they are not.
const KEPT: u64 = 2 * SHORT;

/// Pages after which a worker's commit moves them: it commits hundreds of times, and would otherwise move the same
/// pages again after each of them, for two syncs more.
pub(super) const OF_A_WORKER: u64 = 4_000;

/// Pages after which any commit moves them: never while a worker does so earlier.
const LONGEST: u64 = 2 * OF_A_WORKER;

/// The part of the free room on the disk that a worker's log may take, at most.
const SHARE: u64 = 8;

/// Bytes of a page of the log, with its header.
const PAGE: u64 = 4_096 + 24;

/// KiB of pages that a process keeps at hand that claims, or stores very many rows.
const CACHE_KIB: u32 = 8 << 10;

/// How long the name of a log is new. Whoever makes it syncs it at once; until that is certain, others do so too.
const NEW: Duration = Duration::from_secs(2);

/// Whether the log at `database` is yet to be made, or has just been made.
pub(super) fn is_new(database: &Path, now: Timestamp) -> bool {
    let made = std::fs::metadata(path(database)).and_then(|log| log.created());
    let made = made.ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    // Where the file system does not tell, or tells of a time to come, it may be new.
    made.is_none_or(|made| made + NEW >= Duration::from_millis(now.0.max(0).unsigned_abs()))
}

/// Settles a connection in for one commit or a few.
pub(super) fn settle_in(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch(&format!("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {LONGEST}"))
}

/// Settles a connection in for hundreds of commits.
pub(super) fn settle_in_for_work(connection: &Connection, database: &Path) -> rusqlite::Result<()> {
    // It must not be what fills a small disk.
    let free = statvfs(database).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let pages = (free / SHARE / PAGE).clamp(SHORT, OF_A_WORKER);
    connection
        .execute_batch(&format!("PRAGMA wal_autocheckpoint = {pages}; PRAGMA cache_size = -{CACHE_KIB}"))
}

/// Settles a connection in for a transaction of very many rows. A page that went to the log for want of memory, and
/// changes again, makes SQLite read all that follows it there once more at the commit: memory must last for those that
/// change every few thousand rows.
pub(super) fn settle_in_for_rows(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}"))
}

/// Moves the log at `database` into the database file, so that the next write begins it anew, when it is about as long
/// as it should be. Waits for nobody.
pub(super) fn begin_anew(connection: &Connection, database: &Path) -> rusqlite::Result<()> {
    if !(SHORT + 1..=KEPT).contains(&pages(database)) {
        return Ok(());
    }
    // How much of it counts only its index knows: the rest is what was written before it was begun anew.
    let (log, moved): (u64, u64) =
        connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
    if log - moved >= SHORT { checkpoint(connection) } else { Ok(()) }
}

/// Moves what can be moved without waiting for anybody.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Whether a closing connection should move the log, and remove it if it is the last one.
pub(super) fn is_long(database: &Path) -> bool {
    pages(database) > KEPT
}

/// Lets this connection move the log when it is closed as the last one, and remove it. Waits for nobody.
pub(super) fn move_on_close(connection: &Connection) {
    // What cannot be moved now is moved by whoever comes next.
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
}

/// How many pages there is room for in the log at `database`.
pub(super) fn pages(database: &Path) -> u64 {
    bytes(database) / PAGE
}

/// How long the file of the log at `database` is. Asked for nothing else: since Linux 6.13 a file whose times somebody has
/// looked at gets new ones with the next write, which on some file systems costs each commit a second write to the disk.
fn bytes(database: &Path) -> u64 {
    let log = path(database);
    match statx(CWD, &log, AtFlags::empty(), StatxFlags::SIZE) {
        Ok(found) => found.stx_size,
        // Where the system, or a sandbox, does not know the call.
        Err(_) => std::fs::metadata(&log).map_or(0, |log| log.len()),
    }
}

/// The file of the log at `database`.
pub(super) fn path(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

/// The room there is where `database` lies.
pub(super) fn space(database: &Path) -> io::Result<Space> {
    let disk = statvfs(database)?;
    let of = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Ok(Space {
        free: of(disk.f_bavail),
        size: of(disk.f_blocks),
        log: bytes(database),
        read_only: disk.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}
