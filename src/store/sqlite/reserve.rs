//! Room that is kept for an operator: a file in the workers' folder that is given back to a disk without any other room.
//!
//! Where not a byte is free the log cannot grow, and what it holds cannot be moved into a database file that would become
//! longer by it: whoever came to hold, cancel or purge could do nothing. Nobody else gets this room: neither new work nor
//! results, which have [`super::room`] of their own.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

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
    keep_of(database, |free| free / SHARE)
}

/// Keeps again what was spent to open the store and not used for it: who only looks, every minute maybe, leaves the rest.
pub(super) fn keep_the_rest(database: &Path) -> io::Result<()> {
    keep_of(database, |free| free.saturating_sub(LEAST))
}

fn keep_of(database: &Path, share: impl Fn(u64) -> u64) -> io::Result<()> {
    let path = path(database);
    let file = owner::open(OpenOptions::new().write(true), &path, database)?;
    let disk = statvfs(database)?;
    let bytes = share(disk.f_bavail.saturating_mul(disk.f_frsize)).min(MOST);
    if file.metadata()?.blocks() > 0 || bytes < LEAST {
        return Ok(());
    }
    // Without a length: there is nothing to read in it.
    let kept = match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => room::allocate(&file, bytes),
        kept => kept.map_err(Into::into),
    };
    // What does not help does no harm.
    kept.or_else(|error| std::fs::remove_file(&path).and(Err(error)))
}

/// Gives it back to the disk; says whether there was any.
pub(super) fn spend(database: &Path) -> bool {
    let path = path(database);
    let kept = std::fs::metadata(&path).is_ok_and(|about| about.blocks() > 0);
    kept && std::fs::remove_file(&path).is_ok()
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
            assert!((LEAST..2 * MOST).contains(&(about.blocks() * 512)));
            assert_eq!((about.len(), about.mode() & 0o777), (0, 0o600));
            assert!(spend(&database));
            assert!(!path(&database).exists());
            assert!(!spend(&database), "it can be spent once");
        }
    }
}
