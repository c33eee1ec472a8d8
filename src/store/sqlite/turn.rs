//! The turn to tidy up: the lock on a small file beside the database, which holds when it was done last.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::failure::io_failure;
use super::owner;
use crate::model::Timestamp;
use crate::store::{Result, Turn};

/// What is appended to the database's name.
const SUFFIX: &str = ".maintenance";

/// The digits of a moment: always as many, so that one write replaces the one before.
const DIGITS: usize = 20;

struct LocalTurn {
    file: File,
    path: PathBuf,
    done_at: Option<Timestamp>,
}

/// Takes the turn; `None` while another process has it.
pub(super) fn take(database: &Path) -> Result<Option<Box<dyn Turn>>> {
    let mut path = database.as_os_str().to_owned();
    path.push(SUFFIX);
    let path = PathBuf::from(path);
    let taken = || -> io::Result<Option<LocalTurn>> {
        let mut file = owner::open(OpenOptions::new().read(true).write(true), &path, database)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut text = String::new();
        // What cannot be read says as little as an empty file.
        let _ = file.read_to_string(&mut text);
        let done_at = text.trim().parse().ok().map(Timestamp);
        Ok(Some(LocalTurn { file, path: path.clone(), done_at }))
    };
    match taken() {
        Ok(turn) => Ok(turn.map(|turn| Box::new(turn) as Box<dyn Turn>)),
        Err(error) => Err(io_failure("take the turn for maintenance at", &path, &error)),
    }
}

impl Turn for LocalTurn {
    fn done_at(&self) -> Option<Timestamp> {
        self.done_at
    }

    fn done(&self, now: Timestamp) -> Result<()> {
        let text = format!("{:0DIGITS$}\n", now.0);
        let kept = self.file.write_all_at(text.as_bytes(), 0);
        kept.map_err(|error| io_failure("keep the time of maintenance in", &self.path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_turn_at_a_time_and_the_next_one_knows_when_it_was_done() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        let first = take(&database).unwrap().expect("nobody has it");
        assert_eq!(first.done_at(), None);
        assert!(take(&database).unwrap().is_none(), "one at a time");
        first.done(Timestamp(1_795_214_486_000)).unwrap();
        drop(first);
        assert_eq!(
            take(&database).unwrap().expect("free again").done_at(),
            Some(Timestamp(1_795_214_486_000))
        );
    }
}
