//! The control: a writer of the bench's own that acknowledges each row, with SQLite set otherwise than notifyctl sets it.
//!
//! The product has no such setting. So the bench starts itself, under strace like everything that is recorded.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use super::disk::Disk;
use super::fate::Fate;
use super::judge;
use super::promise::message_for;
use super::trace::{Event, record};
use crate::finding::Finding;
use crate::folder;
use crate::ground::Ground;

/// Rows that are written.
const ROWS: usize = 60;

/// Pages in the log before it is moved into the database file: often, so that this is interrupted too.
const CHECKPOINT_PAGES: u32 = 10;

/// Writes rows into a new database, one a transaction, and tells of each when it is committed.
pub fn write(synchronous: &str, path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS notifications (id INTEGER PRIMARY KEY, recipient TEXT UNIQUE, message TEXT, status TEXT)",
    )?;
    // Our SQLite leaves the names of new files to whoever makes them.
    let folder = path.parent().expect("a folder");
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    for row in 0..ROWS {
        let to = format!("row{row}");
        let values = [&to, &message_for(&to)];
        connection.execute(
            "INSERT INTO notifications (recipient, message, status) VALUES (?1, ?2, 'pending')",
            values,
        )?;
        let told = writeln!(io::stdout(), "{to}").and_then(|()| io::stdout().flush());
        told.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    }
    Ok(())
}

/// FULL keeps all; what is less loses something, and the bench must see it.
pub fn controls(ground: &Ground, random: &mut fastrand::Rng) -> Vec<Finding> {
    let mut findings = Vec::new();
    for synchronous in ["FULL", "NORMAL", "OFF"] {
        let (states, lost, unsound) = cut(ground, synchronous, random);
        let what = |what: &str| format!("control, a bare writer, synchronous={synchronous}: {what}");
        findings.push(Finding::counted(what("states"), states));
        match synchronous {
            "FULL" => findings.push(Finding::none(what("lost something"), lost)),
            _ => findings.push(Finding::at_least(what("lost something"), lost, 1)),
        }
        match synchronous {
            "OFF" => findings.push(Finding::at_least(what("corrupt"), unsound, 1)),
            _ => findings.push(Finding::none(what("corrupt"), unsound)),
        }
    }
    findings
}

/// Records such a writer, and lets the power fail; gives states, those that lost something, those that are corrupt.
fn cut(ground: &Ground, synchronous: &str, random: &mut fastrand::Rng) -> (u64, u64, u64) {
    let folder = ground.sandbox(|_| String::new());
    let mut disk = Disk::of(folder.path());
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--writer", synchronous]).arg(folder.path().join("rows.db"));
    let events = record(&command, folder.path());
    let rebuilt = ground.sandbox_within(&super::memory(), |_| String::new());
    let stride = ground.scale(8, 1);
    let mut told = BTreeSet::new();
    let (mut states, mut lost, mut unsound) = (0, 0, 0);
    for (moment, event) in events.iter().enumerate() {
        match event {
            Event::Told(output) => drop(told.insert(String::from_utf8_lossy(output).trim().to_owned())),
            event => disk.take(event),
        }
        if moment % stride != 0 || told.is_empty() {
            continue;
        }
        for nth in 0..3 {
            let mut fate = Fate::nth(nth, disk.clock(), disk.pending(), random.u64(..));
            let mut content = disk.after_power_cut(&mut fate);
            content.retain(|path, _| !super::is_index(path));
            folder::write(rebuilt.path(), &content);
            let (lacks, corrupt) = judge::bare(&rebuilt.path().join("rows.db"), &told);
            states += 1;
            lost += u64::from(lacks);
            unsound += u64::from(corrupt);
        }
    }
    (states, lost, unsound)
}
