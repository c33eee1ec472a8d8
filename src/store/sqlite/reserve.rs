//! Room that is kept for an operator: a file in the workers' folder that is given back to a disk without any other room.
//!
//! Where not a byte is free the log cannot grow, and what it holds cannot be moved into a database file that would become
//! longer by it: whoever came to hold, cancel or purge could do nothing. Nobody else gets this room: neither new work nor
//! results, which have [`super::room`] of their own.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::statvfs;

use super::{Sqlite, owner, room, wal, worker};
use crate::store::{ErrorKind, Result, Space};

/// Bytes that are kept, at most: for the log's index, some hundred pages of the log, and as many of the database file.
const MOST: u64 = 1 << 20;

/// The part of the free room on the disk that is kept, at most: it must not be what fills a small one.
const SHARE: u64 = 16;

/// What would be too little for anything is not kept.
const LEAST: u64 = 128 << 10;

/// Sees that room is kept beside `database`, in the workers' folder, if the disk has plenty.
pub(super) fn keep(database: &Path) -> io::Result<()> {
    let file = owner::open(OpenOptions::new().write(true), &path(database), database)?;
    let disk = statvfs(database)?;
    let bytes = (disk.f_bavail.saturating_mul(disk.f_frsize) / SHARE).min(MOST);
    if file.metadata()?.len() > 0 || bytes < LEAST {
        return Ok(());
    }
    room::allocate(&file, bytes).inspect_err(|_| {
        // What does not help does no harm.
        let _ = file.set_len(0);
    })
}

/// Gives it back to the disk; says whether there was any.
pub(super) fn spend(database: &Path) -> bool {
    let spent = OpenOptions::new().write(true).open(path(database)).and_then(|file| {
        let bytes = file.metadata()?.len();
        file.set_len(0).map(|()| bytes)
    });
    spent.is_ok_and(|bytes| bytes > 0)
}

fn path(database: &Path) -> PathBuf {
    worker::folder(database).join("reserve")
}

impl Sqlite {
    /// [`Sqlite::write_hard`] for what an operator asks for: at last with the room that is kept for it.
    pub(super) fn write_for_operator<T>(
        &self,
        doing: &'static str,
        work: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        if self.is_short_of_room() {
            // The log is begun anew each time. A longer one would take the room without which it can never be moved.
            let _ = self.read_here(wal::checkpoint);
        }
        let written = self.write_hard(doing, &work, None);
        match &written {
            Err(error) if error.kind == ErrorKind::Full && spend(&self.path) => {
                let _ = self.read_here(wal::checkpoint);
                self.write_hard(doing, work, None)
            }
            _ => written,
        }
    }

    /// Whether the disk has so little room left that no more than what must be is done at once.
    pub(super) fn is_short_of_room(&self) -> bool {
        wal::space(&self.path).is_ok_and(|space| space.free < Space::SHORT)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_is_kept_takes_room_until_it_is_spent_and_is_kept_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        std::fs::write(&database, "").unwrap();
        std::fs::create_dir(worker::folder(&database)).unwrap();
        assert!(!spend(&database), "there is none yet");
        for _ in 0..2 {
            keep(&database).unwrap();
            keep(&database).unwrap();
            let about = std::fs::metadata(path(&database)).unwrap();
            assert!((LEAST..=MOST).contains(&about.len()) && about.blocks() * 512 >= about.len());
            assert_eq!(about.mode() & 0o777, 0o600);
            assert!(spend(&database));
            assert_eq!(std::fs::metadata(path(&database)).unwrap().blocks(), 0);
            assert!(!spend(&database), "it can be spent once");
        }
    }
}
