//! Room on the disk for the results of what is under way, set aside before it begins.
//!
//! What was delivered and cannot be put on record is delivered again. A disk that fills up between the two must
//! therefore not matter: a claim is committed only after blocks for its results have been allocated, in a file
//! without a name that the kernel takes away with the process. When a result finds no room, they are given back,
//! under the lock that keeps every other writer of ours from taking them, and the result is written in their place.

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::store::{Exchange, Exchanged};

/// Bytes for what every commit of results writes: counters, windows, the heads of trees and of the log.
const BASE: u64 = 128 << 10;

/// Bytes for one result: its leaf among the notifications and its leaf among the attempts, should it share neither.
const RESULT: u64 = 10 << 10;

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

    /// Gives it back to the file system, for what is written next.
    pub(super) fn spend(&self) {
        if let Some(file) = self.file.get() {
            // Without it the write is tried all the same.
            let _ = file.set_len(0);
        }
        self.bytes.set(0);
    }
}

fn allocate(mut file: &File, bytes: u64) -> io::Result<()> {
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
    fn what_is_set_aside_is_taken_from_the_disk_and_given_back() {
        let file = tempfile::tempfile().unwrap();
        allocate(&file, 1 << 20).unwrap();
        assert!(file.metadata().unwrap().blocks() * 512 >= 1 << 20);
        let room = Room::default();
        room.file.set(file).unwrap();
        room.spend();
        assert_eq!(room.file.get().unwrap().metadata().unwrap().blocks(), 0);
    }
}
