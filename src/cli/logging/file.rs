//! A log file that survives logrotate: reopened, without any signal, when its name means another file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use crate::cli::output::say;
use crate::clock;

/// How often it is looked whether the file has been moved.
const LOOK: Duration = Duration::from_secs(1);

/// A file that lines are appended to; opened by the first one.
pub(super) struct LogFile {
    path: PathBuf,
    open: Option<File>,
    /// Since boot; `None` before the first line.
    looked: Option<Duration>,
    trouble: bool,
}

impl LogFile {
    /// Opens nothing yet.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, looked: None, trouble: false }
    }

    fn look(&mut self, now: Duration) {
        if self.looked.is_some_and(|at| now.saturating_sub(at) < LOOK) {
            return;
        }
        self.looked = Some(now);
        if self.open.as_ref().is_some_and(|file| self.is_still(file)) {
            return;
        }
        match open(&self.path) {
            Ok(file) => {
                self.open = Some(file);
                self.trouble = false;
            }
            // The file that was moved is better than none; said once, not with every line.
            Err(error) if !self.trouble => {
                self.trouble = true;
                say(format_args!("log.file: open {}: {error}", self.path.display()));
            }
            Err(_) => {}
        }
    }

    /// Whether `file` is what the path names.
    fn is_still(&self, file: &File) -> bool {
        let identity = |about: std::fs::Metadata| (about.dev(), about.ino());
        match (file.metadata(), std::fs::metadata(&self.path)) {
            (Ok(ours), Ok(named)) => identity(ours) == identity(named),
            _ => false,
        }
    }
}

impl Write for LogFile {
    /// Takes one line. One that cannot be written to the file goes to standard error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.look(clock::since_boot());
        let written = match &mut self.open {
            // Appended by one call, so that lines of several processes do not mix.
            Some(file) => file.write_all(line),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        match written {
            Ok(()) => Ok(line.len()),
            Err(_) => io::stderr().write_all(line).map(|()| line.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Readable by its group, so that log readers need no root. A FIFO that nobody reads, or not fast enough, is waited for by
/// nobody: the line goes to standard error.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_by_the_first_line_and_followed_when_it_is_moved() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("n.log"), dir.path().join("n.log.1"));
        let mut log = LogFile::new(&path);
        assert!(!path.exists());
        log.write_all(b"one\n").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o137, 0);
        std::fs::rename(&path, &moved).unwrap();
        // As if it had been looked at just now, however slow this machine is, and then for a while not.
        log.looked = Some(clock::since_boot() + 60 * LOOK);
        log.write_all(b"two\n").unwrap();
        log.looked = None;
        log.write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_stops_nobody() {
        let mut log = LogFile::new(Path::new("/nonexistent/n.log"));
        log.write_all(b"(a line of a test that belongs here)\n").unwrap();
        assert!(log.trouble);
    }
}
