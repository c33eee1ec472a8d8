//! A thread that writes the log, so that nobody else waits for whoever takes it: a pipe that supervisor does not read, a
//! journal that hangs, a file on a dead disk.
//!
//! As long as lines are taken, each is out before whoever said it goes on. When they are not, they wait here, and those that
//! there is no room for are counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long whoever says something waits until it is out; then nobody waits any more until all of it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many bytes may wait.
const ROOM: usize = 1 << 20;

/// The way to the thread. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Scribe(Arc<Desk>);

#[derive(Default)]
struct Desk {
    waiting: Mutex<Waiting>,
    /// Rung when there is something to write.
    comes: Condvar,
    /// Rung when something was written.
    goes: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// How many were ever to be written, and how many were.
    said: u64,
    written: u64,
    /// How many there was no room for, since that was told last.
    lost: u64,
    /// Somebody has waited in vain.
    is_behind: bool,
}

impl Waiting {
    fn push(&mut self, line: &[u8]) {
        self.lines.push_back(line.to_owned());
        self.bytes += line.len();
        self.said += 1;
    }
}

impl Scribe {
    /// Starts the thread, which writes to `place`; it ends with the process. `told` makes a line of how many were lost.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        mut place: impl Write + Send + 'static,
        told: impl Fn(u64) -> Vec<u8> + Send + 'static,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let own = Arc::clone(&desk);
        std::thread::Builder::new().name("log".into()).spawn(move || {
            loop {
                let line = own.next(&told);
                // There is nobody who could be told.
                let _ = place.write_all(&line).and_then(|()| place.flush());
                own.waiting().written += 1;
                own.goes.notify_all();
            }
        })?;
        Ok(Self(desk))
    }

    /// Waits until all that was said is out, but not for longer than anybody waits for one line.
    fn settle(&self, waiting: MutexGuard<'_, Waiting>) {
        let said = waiting.said;
        let is_out = |waiting: &mut Waiting| waiting.written < said;
        let waited = self.0.goes.wait_timeout_while(waiting, PATIENCE, is_out);
        let (mut waiting, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.is_behind |= waited.timed_out();
    }
}

impl Write for Scribe {
    /// Takes one line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting();
        if waiting.bytes + line.len() > ROOM {
            waiting.lost += 1;
            return Ok(line.len());
        }
        waiting.push(line);
        self.0.comes.notify_one();
        if !waiting.is_behind {
            self.settle(waiting);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Scribe {
    /// Gives what waits yet a last moment, at the end of the process.
    pub(super) fn end(&self) {
        self.settle(self.0.waiting());
    }
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next line.
    fn next(&self, told: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.len();
                return line;
            }
            waiting.is_behind = false;
            match std::mem::take(&mut waiting.lost) {
                0 => waiting = self.comes.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                lost => waiting.push(&told(lost)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Longer than anything takes here.
    const LONG: Duration = Duration::from_secs(30);

    /// Hands on each line as somebody asks for it.
    struct Slow(mpsc::SyncSender<String>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8(line.to_owned()).unwrap());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_is_taken_is_out_before_whoever_said_it_goes_on() {
        let (taken, takes) = mpsc::sync_channel(1_000);
        let mut scribe = Scribe::start(Slow(taken), |lost| format!("{lost}\n").into_bytes()).unwrap();
        for n in 0..1_000 {
            scribe.write_all(format!("{n}\n").as_bytes()).unwrap();
            assert_eq!(takes.try_recv(), Ok(format!("{n}\n")));
        }
    }

    #[test]
    fn lines_that_nobody_takes_wait_in_their_order_and_those_without_room_are_counted() {
        let (taken, takes) = mpsc::sync_channel(0);
        let mut scribe =
            Scribe::start(Slow(taken), |lost| format!("{lost} are lost\n").into_bytes()).unwrap();
        let lines = 3 * ROOM / 1_024;
        let long = "x".repeat(1_023 - 6);
        for n in 0..lines {
            scribe.write_all(format!("{n:06}{long}\n").as_bytes()).unwrap();
        }
        let next = || takes.recv_timeout(LONG).unwrap();
        let mut kept = 0;
        let lost = loop {
            let line = next();
            match line.strip_suffix(" are lost\n") {
                Some(lost) => break lost.parse::<usize>().unwrap(),
                None => assert!(line.starts_with(&format!("{kept:06}")), "{kept}: {line}"),
            }
            kept += 1;
        };
        assert_eq!(kept + lost, lines);
        assert!((ROOM / 1_024..=1 + ROOM / 1_024).contains(&kept), "{kept}");
        let says = std::thread::spawn(move || scribe.write_all(b"again\n"));
        assert_eq!(next(), "again\n");
        says.join().unwrap().unwrap();
    }
}
