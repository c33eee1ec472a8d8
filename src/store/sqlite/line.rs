//! The line of those who wait to write: a lock on a small file in the workers' folder, held by the one who is next.
//!
//! SQLite knows no line: whoever asks while nobody writes gets in, and a pass that writes one exchange after another
//! asks far more often than a shell that sleeps between two tries. So who waits takes the head of the line, where one
//! asks often, and who has written before asks only when nobody else is there. The kernel drops the lock at its
//! holder's death; nobody waits for it beyond a limit, and without a worker there is no file and no line.

use std::cell::{Cell, OnceCell};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{owner, worker};

/// Milliseconds between two tries of the one who is next; a commit takes about one.
const AT_THE_HEAD: f64 = 0.25;

/// Milliseconds between two tries of anybody else who has just come, and when they have waited for long: whoever
/// waits for longer tries more often, so that chance passes nobody over for ever.
const BEHIND: f64 = 8.0;
const BEHIND_FOR_LONG: f64 = 0.5;

/// How long somebody waits until they try twice as often.
const LONG: Duration = Duration::from_millis(100);

/// How long at most one who has written gives way, before each further write.
const WAY: Duration = Duration::from_millis(50);

/// A place in the line of one connection.
pub(super) struct Line {
    path: PathBuf,
    /// Opened when it is first needed; `None` where there is no line.
    file: OnceCell<Option<File>>,
    /// Whether this one is next.
    next: Cell<bool>,
    /// Whether this one has written.
    written: Cell<bool>,
    /// Whether it found others waiting when it came to write again.
    company: Cell<bool>,
}

impl Line {
    /// The line before `database`.
    pub(super) fn before(database: &Path) -> Self {
        Self {
            path: path(database),
            file: OnceCell::new(),
            next: Cell::new(false),
            written: Cell::new(false),
            company: Cell::new(false),
        }
    }

    /// Lets those go first who wait, if this one has written before.
    pub(super) fn give_way(&self) {
        self.company.set(false);
        if !self.written.replace(true) {
            return;
        }
        let started = Instant::now();
        while self.file().is_some() && !self.step_up() && started.elapsed() < WAY {
            self.company.set(true);
            pause(2.0 * AT_THE_HEAD);
        }
    }

    /// Whether others waited when this one came to write last.
    pub(super) fn had_company(&self) -> bool {
        self.company.get()
    }

    /// Waits a little for the next try, `waited` after the first.
    pub(super) fn wait(&self, waited: Duration) {
        if self.step_up() {
            return pause(AT_THE_HEAD);
        }
        let longest = (BEHIND / (1.0 + waited.as_secs_f64() / LONG.as_secs_f64())).max(BEHIND_FOR_LONG);
        // At first in proportion to what has been waited: most who write are done at once.
        pause((waited.as_secs_f64() * 500.0).clamp(AT_THE_HEAD, longest));
    }

    /// Leaves the line, having begun or given up.
    pub(super) fn leave(&self) {
        if self.next.replace(false)
            && let Some(file) = self.file()
        {
            // It is dropped with the file at the latest.
            let _ = file.unlock();
        }
    }

    /// Becomes the next one, unless somebody else is.
    fn step_up(&self) -> bool {
        if !self.next.get() && self.file().is_some_and(|file| file.try_lock().is_ok()) {
            self.next.set(true);
        }
        self.next.get()
    }

    fn file(&self) -> Option<&File> {
        // One that may not be opened is as good as none: it only makes the waiting shorter.
        self.file.get_or_init(|| File::open(&self.path).ok()).as_ref()
    }
}

/// Makes the line before `database`, if there is none.
pub(super) fn make(database: &Path) -> io::Result<()> {
    owner::open(OpenOptions::new().append(true), &path(database), database).map(drop)
}

fn path(database: &Path) -> PathBuf {
    worker::folder(database).join("line")
}

/// Sleeps about so many milliseconds: spread, so that two who met do not meet again.
fn pause(milliseconds: f64) {
    let jitter = f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
    std::thread::sleep(Duration::from_secs_f64(milliseconds * (0.5 + jitter) / 1_000.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        std::fs::create_dir(worker::folder(&database)).unwrap();
        make(&database).unwrap();
        (folder, database)
    }

    #[test]
    fn one_is_next_until_it_leaves_the_line() {
        let (_folder, database) = place();
        let (one, other) = (Line::before(&database), Line::before(&database));
        assert!(one.step_up() && one.step_up());
        assert!(!other.step_up());
        one.leave();
        assert!(other.step_up());
        drop(other);
        assert!(one.step_up(), "what ends is no longer next");
    }

    #[test]
    fn who_has_written_gives_way_to_who_waits_but_not_for_ever() {
        let (_folder, database) = place();
        let (writer, waiting) = (Line::before(&database), Line::before(&database));
        assert!(waiting.step_up());
        writer.give_way();
        assert!(writer.written.get() && !writer.next.get());
        // A second time it would wait for the one who is next: up to the limit.
        let started = Instant::now();
        writer.give_way();
        assert!(started.elapsed() >= WAY && !writer.next.get());
        waiting.leave();
        writer.give_way();
        assert!(writer.next.get());
    }

    #[test]
    fn without_a_worker_there_is_no_line_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let line = Line::before(&folder.path().join("n.db"));
        line.give_way();
        line.give_way();
        assert!(!line.step_up());
        line.leave();
    }
}
