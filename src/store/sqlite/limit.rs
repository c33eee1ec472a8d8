//! The limit of the log: it is begun anew in a crowd, too.
//!
//! SQLite begins its log anew when all of it has been moved into the database file and nobody reads. Among dozens of
//! processes somebody always does, if only because the machine has put it aside in the middle of a read, and a log
//! that is read is only made longer. So a worker that finds it too long keeps the writers out for a moment, moves
//! what is left, and waits for those who read still; whoever comes then reads the database file alone. So does a daemon
//! that only takes requests.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::line::Line;
use super::wal;

/// Pages of the log that are too many: a worker that is alone moves them earlier.
const PAGES: u64 = wal::OF_A_WORKER + wal::OF_A_WORKER / 16;

/// The time between two looks whether others have ended, and how many there are: a tenth of a second.
const LOOK: Duration = Duration::from_micros(250);
const LOOKS: i32 = 400;

/// How many times as long as it waited in vain it leaves those alone who keep an old view.
const PAUSE: u32 = 10;

/// A worker's care for the log.
#[derive(Default)]
pub(super) struct Limit {
    again_at: Cell<Option<Instant>>,
}

impl Limit {
    /// Begins the log of `database` anew if it is too long; puts `busy_timeout` back.
    pub(super) fn hold(
        &self,
        connection: &mut Connection,
        database: &Path,
        line: &Line,
        busy_timeout: Duration,
    ) {
        // The file stays as long as it ever was.
        if wal::pages(database) < PAGES || self.again_at.get().is_some_and(|at| Instant::now() < at) {
            return;
        }
        let began = Instant::now();
        // What cannot be done on a full disk, for one, can be done later.
        let in_vain = begin_anew(connection, line).unwrap_or(true);
        let _ = connection.busy_timeout(busy_timeout);
        self.again_at.set(in_vain.then(|| Instant::now() + began.elapsed() * PAUSE));
    }
}

/// Says whether it was too long in vain.
fn begin_anew(connection: &mut Connection, line: &Line) -> rusqlite::Result<bool> {
    let pages: u64 = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))?;
    if pages < PAGES {
        return Ok(false);
    }
    line.give_way();
    connection.busy_handler(Some(|looks| {
        std::thread::sleep(LOOK);
        looks < LOOKS
    }))?;
    let in_vain = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0));
    line.leave();
    in_vain
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::super::Sqlite;
    use super::*;
    use crate::model::{Content, NewNotification, Timestamp};
    use crate::store::{Access, Portion, Writer};

    /// As where a daemon only takes requests: nobody exchanges results, and many ask.
    #[test]
    fn who_only_accepts_keeps_to_the_limit_too_though_somebody_always_reads() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        let mut store =
            Sqlite::open(&database, Duration::from_secs(5), Access::Create, Timestamp(1)).unwrap();
        let _worker = store.register(Timestamp(1), "h").unwrap();
        let message = "x".repeat(1 << 20);
        let content = Content { recipient: "a".into(), message, ..Content::default() };
        let new = NewNotification { channel: "mail".into(), content, ..NewNotification::default() };
        let portion = Portion { new: vec![new], key_expires_at: Timestamp(1), ..Portion::default() };
        let ended = AtomicBool::new(false);
        let longest = std::thread::scope(|scope| {
            scope.spawn(|| {
                let readers = [0, 1].map(|_| Connection::open(&database).unwrap());
                let begin = "BEGIN; SELECT count(*) FROM notifications";
                readers[1].execute_batch(begin).unwrap();
                for turn in 0.. {
                    let (comes, goes) = (&readers[turn % 2], &readers[(turn + 1) % 2]);
                    comes.execute_batch(begin).unwrap();
                    goes.execute_batch("COMMIT").unwrap();
                    if ended.load(Relaxed) {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
            let mut longest = 0;
            // Each takes more than 256 pages.
            for _ in 0..3 * PAGES / 256 {
                store.enqueue_portions(Timestamp(2), std::slice::from_ref(&portion)).unwrap();
                longest = longest.max(wal::pages(&database));
            }
            ended.store(true, Relaxed);
            longest
        });
        assert!((PAGES..2 * PAGES).contains(&longest), "{longest} pages");
    }

    #[test]
    fn a_log_that_is_too_long_is_begun_anew_as_soon_as_nobody_keeps_an_old_view() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        let open = || Connection::open(&database).unwrap();
        let (mut writer, reader) = (open(), open());
        let setup = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)";
        writer.execute_batch(setup).unwrap();
        let write = |writer: &Connection, pages: u64| {
            let bytes = i64::try_from(pages * 4_096).unwrap();
            writer.execute("INSERT INTO t VALUES (zeroblob(?))", [bytes]).unwrap();
        };
        let (line, limit) = (Line::before(&database), Limit::default());
        let hold = |writer: &mut Connection| limit.hold(writer, &database, &line, Duration::ZERO);
        let length = || std::fs::metadata(wal::path(&database)).unwrap().len();

        write(&writer, PAGES - 100);
        hold(&mut writer);
        let short = length();
        write(&writer, 50);
        assert!(length() > short, "it was not too long");

        reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
        write(&writer, 100);
        hold(&mut writer);
        let long = length();
        write(&writer, 50);
        assert!(length() > long, "it was begun anew beside a reader");
        assert!(
            limit.again_at.get().is_some_and(|at| at > Instant::now() + LOOK),
            "those who read are left alone"
        );

        reader.execute_batch("COMMIT").unwrap();
        limit.again_at.set(None);
        let long = length();
        hold(&mut writer);
        write(&writer, 50);
        assert_eq!(length(), long, "it goes on behind what was there");
        assert_eq!(limit.again_at.get(), None);
    }
}
