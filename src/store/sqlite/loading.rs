//! Whether a batch is being stored: a lock on a small file beside the database, which the kernel drops with its holder.
//!
//! A batch is one transaction, so that it is stored whole or not at all, and nobody else writes meanwhile: about a second
//! for each 120,000 rows. Whoever waits for it waits for something that will end, and not for a program that hangs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::owner;

/// How many times as long as for anybody else one waits for a batch, at most.
pub(super) const PATIENCE: u32 = 6;

/// What is appended to the database's name.
const SUFFIX: &str = ".batch";

/// Says that a batch is being stored, until the returned file is dropped.
pub(super) fn begin(database: &Path) -> io::Result<File> {
    let file = owner::open(OpenOptions::new().append(true), &path(database), database)?;
    // Shared: one who looks at the same moment has it for a moment, and another batch would not be there.
    file.lock_shared()?;
    Ok(file)
}

/// Whether somebody stores a batch.
pub(super) fn is_under_way(database: &Path) -> bool {
    let looked = File::open(path(database)).map(|file| file.try_lock());
    matches!(looked, Ok(Err(TryLockError::WouldBlock)))
}

fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(SUFFIX);
    path.into()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::super::Sqlite;
    use super::*;
    use crate::model::{Content, NewNotification, Timestamp};
    use crate::store::{Access, ErrorKind, NewBatch, Next, Writer};

    const BUSY: Duration = Duration::from_millis(400);
    const NOW: Timestamp = Timestamp(1);

    fn open(database: &Path) -> Sqlite {
        Sqlite::open(database, BUSY, Access::Create, NOW).unwrap()
    }

    fn new() -> NewNotification {
        NewNotification {
            channel: "c".into(),
            content: Content { recipient: "a@example.org".into(), message: "x".into(), ..Content::default() },
            ..NewNotification::default()
        }
    }

    #[test]
    fn who_waits_for_a_batch_waits_longer_than_for_anybody_else() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        let mut loader = open(&database);
        let mut other = open(&database);
        let (begun, batch_begun) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let batch = NewBatch { source: "-".into(), key_expires_at: NOW };
                let mut rows = [Next::Commit, Next::Row(Box::new(new()))].into_iter().collect::<Vec<_>>();
                let mut row = || {
                    if rows.len() == 1 {
                        // Somebody comes, and would have given up long before this.
                        begun.send(()).unwrap();
                        std::thread::sleep(BUSY + BUSY / 2);
                    }
                    rows.pop().unwrap()
                };
                loader.enqueue_batch(NOW, &batch, &mut row).unwrap().unwrap();
            });
            batch_begun.recv().unwrap();
            other.enqueue(NOW, NOW, &[new()]).unwrap();
        });
        assert!(!is_under_way(&database));
        // Behind anybody else it gives up in time.
        let hanging = rusqlite::Connection::open(&database).unwrap();
        hanging.execute_batch("BEGIN IMMEDIATE").unwrap();
        let started = Instant::now();
        assert_eq!(other.enqueue(NOW, NOW, &[new()]).unwrap_err().kind, ErrorKind::Busy);
        assert!(started.elapsed() < BUSY * PATIENCE);
    }
}
