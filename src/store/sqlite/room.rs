//! Room on the disk for the results of what is under way, set aside before it begins.
//!
//! What was delivered and cannot be put on record is delivered again. A disk that fills up between the two must
//! therefore not matter: a claim is committed only after blocks for its results have been allocated, in a file
//! without a name that the kernel takes away with the process. When results find no room, they are given back,
//! under the lock that keeps every other writer of ours from taking them, and the results are written in their place:
//! all at once, since whatever is left of the room after the commit belongs to whoever writes next.

use std::cell::{Cell, OnceCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::store::{Exchange, Exchanged};

/// Bytes for what every commit of results writes: counters, windows, the heads of trees and of the log.
const BASE: u64 = 128 << 10;

/// Bytes for one result: its leaves among the notifications, the attempts and what is indexed, should it share none.
const RESULT: u64 = 20 << 10;

/// Room that is set aside.
#[derive(Default)]
pub(super) struct Room {
    file: OnceCell<File>,
    bytes: Cell<u64>,
    /// The longest message that was claimed: with the status, the whole row is written again.
    longest: Cell<u64>,
}

impl Room {
    /// Sees that there is room for the results of what `exchange` has just claimed, and of what is under way.
    pub(super) fn keep(&self, beside: &Path, exchange: &Exchange, answer: &Exchanged) -> io::Result<()> {
        let claimed = answer.claims.iter().flat_map(|reply| &reply.claimed);
        let Some(longest) = claimed.map(|one| one.content.message.len() as u64).max() else { return Ok(()) };
        self.longest.set(self.longest.get().max(longest));
        let bytes = BASE + exchange.in_flight as u64 * (RESULT + self.longest.get());
        if bytes <= self.bytes.get() {
            return Ok(());
        }
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let folder = beside.parent().unwrap_or(beside);
                let file = tempfile::tempfile_in(folder)?;
                self.file.get_or_init(|| file)
            }
        };
        allocate(file, bytes)?;
        self.bytes.set(bytes);
        Ok(())
    }

    /// Gives it to the log at `log`, for what is written next.
    pub(super) fn spend(&self, log: &Path) {
        let bytes = self.bytes.replace(0);
        if let Some(file) = self.file.get().filter(|_| bytes > 0) {
            // Without any of it the write is tried all the same.
            let _ = file.set_len(0);
            // Behind its end, at once: who moves the log into the database file needs no lock to take what is free.
            let _ = OpenOptions::new().write(true).open(log).and_then(|log| {
                let end = log.metadata()?.len();
                Ok(fallocate(&log, FallocateFlags::KEEP_SIZE, end, bytes)?)
            });
        }
    }
}

/// Takes so many bytes from the disk for `file`, which is as long then.
pub(super) fn allocate(mut file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // Not every file system knows it; each knows writing.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            file.set_len(0)?;
            io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
            file.flush()
        }
        allocated => Ok(allocated?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_is_set_aside_is_taken_from_the_disk_and_goes_to_the_log() {
        let taken = |file: &File| file.metadata().unwrap().blocks() * 512;
        let (file, log) = (tempfile::tempfile().unwrap(), tempfile::NamedTempFile::new().unwrap());
        allocate(&file, 1 << 20).unwrap();
        assert!(taken(&file) >= 1 << 20);
        let room = Room::default();
        room.file.set(file).unwrap();
        room.bytes.set(1 << 20);
        std::fs::write(log.path(), "head").unwrap();
        room.spend(log.path());
        assert_eq!(taken(room.file.get().unwrap()), 0);
        assert!(taken(log.as_file()) >= 1 << 20);
        assert_eq!(std::fs::read(log.path()).unwrap(), b"head", "its end is where it was");
    }
}
