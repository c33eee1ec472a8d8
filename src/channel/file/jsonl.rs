//! One JSON object a line, appended to one file that other programs read and rotate.
//!
//! Writers take turns by flock. A line is whole or, after a crash, the last of the file: the next writer
//! ends it first, so that one torn line never spoils another. A crash between the sync and the record of
//! it repeats the line; a reader knows it by its `stable_id`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::{Failure, sync_folder};
use crate::clock;

/// How often a lock that another holds is tried again.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// A file of JSON lines.
pub struct Jsonl {
    path: PathBuf,
}

impl Jsonl {
    /// The one at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Appends `object` as one line, synced; waits at most `patience` for another writer. Says where it stands.
    pub fn append(&self, object: &[u8], patience: Duration) -> Result<String, Failure> {
        let mut file = self.open_locked(patience)?;
        let length = file.metadata().map_err(|source| self.failure("look at", source))?.len();
        if length == 0 {
            self.sync_name(&file)?;
        }
        let mut line = Vec::with_capacity(object.len() + 2);
        if self.is_torn(&file, length)? {
            line.push(b'\n');
        }
        line.extend_from_slice(object);
        line.push(b'\n');
        if let Err(source) = file.write_all(&line).and_then(|()| file.sync_all()) {
            // A full disk may have taken a part: leave nothing half-done while we hold the lock.
            let _ = file.set_len(length);
            return Err(self.failure("write", source));
        }
        Ok(format!("{} at byte {length}", self.path.display()))
    }

    /// Opens and locks it; again when it was rotated away between the two.
    fn open_locked(&self, patience: Duration) -> Result<File, Failure> {
        let deadline = clock::since_boot() + patience;
        loop {
            let file = self.open()?;
            match file.try_lock() {
                Ok(()) if self.is_still(&file) => return Ok(file),
                Ok(()) => {}
                Err(TryLockError::Error(source)) => return Err(self.failure("lock", source)),
                Err(TryLockError::WouldBlock) => {}
            }
            if clock::since_boot() + LOCK_POLL >= deadline {
                let source = io::Error::new(io::ErrorKind::TimedOut, "another program holds its lock");
                return Err(self.failure("lock", source));
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    fn open(&self) -> Result<File, Failure> {
        let mut options = OpenOptions::new();
        // Non-blocking, so that a FIFO in its place is seen and refused instead of waited for.
        options.read(true).append(true).create(true).mode(0o600);
        options.custom_flags(OFlags::NONBLOCK.bits() as i32);
        let file = options.open(&self.path).map_err(|source| self.failure("open", source))?;
        match file.metadata() {
            Ok(about) if about.is_file() => Ok(file),
            Ok(_) => Err(self.failure("open", io::Error::other("not a regular file"))),
            Err(source) => Err(self.failure("look at", source)),
        }
    }

    /// Makes the name of a new file durable, before a line is: one that stands there must never be told as failed.
    fn sync_name(&self, file: &File) -> Result<(), Failure> {
        match sync_folder(self.path.parent().unwrap_or(&self.path)) {
            // A folder in which one may write, and not look.
            Err(failure) if failure.source.kind() == io::ErrorKind::PermissionDenied => {
                rustix::fs::syncfs(file).map_err(|errno| self.failure("sync the name of", errno.into()))
            }
            synced => synced,
        }
    }

    fn is_still(&self, file: &File) -> bool {
        match (file.metadata(), fs::metadata(&self.path)) {
            (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
            _ => false,
        }
    }

    fn is_torn(&self, file: &File, length: u64) -> Result<bool, Failure> {
        let Some(last) = length.checked_sub(1) else { return Ok(false) };
        let mut byte = [b'\n'];
        file.read_at(&mut byte, last).map_err(|source| self.failure("read", source))?;
        Ok(byte != [b'\n'])
    }

    fn failure(&self, doing: &'static str, source: io::Error) -> Failure {
        Failure::new(doing, &self.path, source)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustix::thread::{CapabilitySet, CapabilitySets};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn jsonl() -> (tempfile::TempDir, Jsonl) {
        let dir = tempfile::tempdir().unwrap();
        let jsonl = Jsonl::new(&dir.path().join("told.jsonl"));
        (dir, jsonl)
    }

    #[test]
    fn a_torn_last_line_is_ended_before_the_next() {
        for (before, after) in [("", "{}\n"), ("{1}\n", "{1}\n{}\n"), ("{1}\n{2", "{1}\n{2\n{}\n")] {
            let (_dir, jsonl) = jsonl();
            fs::write(&jsonl.path, before).unwrap();
            let place = jsonl.append(b"{}", SOON).unwrap();
            assert!(place.ends_with(&format!("told.jsonl at byte {}", before.len())), "{place}");
            assert_eq!(fs::read_to_string(&jsonl.path).unwrap(), after);
        }
    }

    #[test]
    fn writers_side_by_side_never_mix_their_lines() {
        let (_dir, jsonl) = jsonl();
        let line = |writer: u8| vec![b'a' + writer; 20_000];
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let jsonl = &jsonl;
                scope.spawn(move || (0..5).for_each(|_| drop(jsonl.append(&line(writer), SOON).unwrap())));
            }
        });
        let text = fs::read(&jsonl.path).unwrap();
        let lines: Vec<_> = text.strip_suffix(b"\n").unwrap().split(|&b| b == b'\n').collect();
        assert_eq!(lines.len(), 40);
        assert!(lines.iter().all(|found| *found == line(found[0] - b'a')));
    }

    #[test]
    fn anothers_lock_is_waited_for_only_so_long() {
        let (_dir, jsonl) = jsonl();
        let other = File::create(&jsonl.path).unwrap();
        other.lock().unwrap();
        let failure = jsonl.append(b"{}", Duration::from_millis(20)).unwrap_err().to_string();
        assert!(failure.ends_with("told.jsonl: another program holds its lock"), "{failure}");
        drop(other);
        jsonl.append(b"{}", SOON).unwrap();
    }

    #[test]
    fn a_file_rotated_away_is_made_anew() {
        let (dir, jsonl) = jsonl();
        jsonl.append(b"{1}", SOON).unwrap();
        let stale = jsonl.open().unwrap();
        fs::rename(&jsonl.path, dir.path().join("told.jsonl.1")).unwrap();
        assert!(!jsonl.is_still(&stale));
        jsonl.append(b"{2}", SOON).unwrap();
        assert_eq!(fs::read(&jsonl.path).unwrap(), b"{2}\n");
    }

    #[test]
    fn a_folder_that_may_be_written_and_not_looked_at_takes_each_line_once() {
        let (dir, jsonl) = jsonl();
        let mode = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o300);
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                // Root looks everywhere; this thread is to be as others are.
                let none = CapabilitySet::empty();
                let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
                rustix::thread::set_capabilities(None, sets).unwrap();
                assert!(fs::read_dir(dir.path()).is_err());
                [b"{1}", b"{2}"].map(|line| jsonl.append(line, SOON).map_err(|failure| failure.to_string()))
            });
            writer.join().unwrap()
        });
        mode(0o700);
        assert!(written.iter().all(Result::is_ok), "{written:?}");
        assert_eq!(fs::read(&jsonl.path).unwrap(), b"{1}\n{2}\n");
    }

    #[test]
    fn a_fifo_or_a_device_is_refused_at_once() {
        let full = Jsonl::new(Path::new("/dev/full"));
        assert!(full.append(b"{}", SOON).unwrap_err().to_string().ends_with("not a regular file"));
        let (_dir, jsonl) = jsonl();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &jsonl.path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert!(jsonl.append(b"{}", SOON).unwrap_err().to_string().ends_with("not a regular file"));
    }
}
