//! The second pass: rows are read ahead of the store by a thread of its own, so that a store that is locked for this
//! batch waits for no row; all is rolled back when the input is not what was checked.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::check::{Tally, report};
use super::desk::Desk;
use super::input::Input;
use super::progress::Progress;
use super::rows::{Line, Rows};
use crate::cli::{Error, Exit};
use crate::store::Next;
use crate::wire::row::NewRow;

/// A portion is handed over when it holds so many rows, or so many bytes.
pub const ROWS: usize = 256;
pub const BYTES: usize = 256 << 10;

/// Portions that wait for the store; with them one is made and one is taken in, each of at most one row above its limit.
pub const AHEAD: usize = 2;

/// What is handed over.
enum Portion {
    Rows(Vec<NewRow>),
    /// That was all, and it is what was checked. A source that ends without it was not.
    End,
}

/// The rows of a batch, as the store asks for them.
pub struct Feed {
    /// Lets the reader begin: not before the store asks for the first time, which may be after others' writes.
    begin: Option<SyncSender<()>>,
    portions: Receiver<Portion>,
    rows: std::vec::IntoIter<NewRow>,
    /// The row whose notifications are being handed over.
    row: Option<NewRow>,
}

impl Feed {
    /// Starts a thread of `scope` that reads `input` again, from where the first pass began to where it ended, as
    /// soon as the first row is asked for.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        desk: &'scope mut Desk<'_>,
        input: &'scope Input,
        checked: Tally,
    ) -> Result<(Self, ScopedJoinHandle<'scope, Result<(), Error>>), Error> {
        let (begin, begun) = sync_channel(1);
        let (give, portions) = sync_channel(AHEAD);
        let reader = Builder::new().name("rows".into()).spawn_scoped(scope, move || {
            let progress = Progress::start("enqueueing", Some(checked.bytes));
            let mut reader = Reader { desk, input, checked, seen: Tally::default(), progress, give };
            // A store that never asks says why itself.
            let read = begun.recv().map_or(Ok(()), |()| reader.read());
            reader.progress.end();
            read
        });
        let reader = reader.map_err(|error| no_thread(&error))?;
        Ok((Self { begin: Some(begin), portions, rows: Vec::new().into_iter(), row: None }, reader))
    }

    /// The next notification, or what to do in place of it.
    pub fn next(&mut self) -> Next {
        if let Some(begin) = self.begin.take() {
            // A reader that is gone has handed over nothing.
            let _ = begin.send(());
        }
        loop {
            if let Some(new) = self.row.as_mut().and_then(Iterator::next) {
                return Next::Row(Box::new(new));
            }
            self.row = self.rows.next();
            if self.row.is_some() {
                continue;
            }
            match self.portions.recv() {
                Ok(Portion::Rows(rows)) => self.rows = rows.into_iter(),
                Ok(Portion::End) => return Next::Commit,
                Err(_) => return Next::RollBack,
            }
        }
    }
}

/// Reads ahead.
struct Reader<'a, 'b> {
    desk: &'a mut Desk<'b>,
    input: &'a Input,
    checked: Tally,
    seen: Tally,
    progress: Progress,
    give: SyncSender<Portion>,
}

impl Reader<'_, '_> {
    /// Hands over all rows.
    ///
    /// # Errors
    /// Why nothing is to be enqueued, if the source is the reason.
    fn read(&mut self) -> Result<(), Error> {
        let unread = |error: super::rows::Unreadable| error.of(self.input.name());
        let mut rows: Rows<'_> = self.input.again(self.checked.bytes)?;
        let (mut portion, mut bytes) = (Vec::with_capacity(ROWS), 0);
        while let Some(line) = rows.next().map_err(unread)? {
            self.progress.row(rows.bytes());
            let Some(row) = self.take(line)? else { continue };
            bytes += row.bytes();
            portion.push(row);
            if portion.len() == ROWS || bytes >= BYTES {
                bytes = 0;
                let full = std::mem::replace(&mut portion, Vec::with_capacity(ROWS));
                if self.give.send(Portion::Rows(full)).is_err() {
                    // The store has given up, and says why.
                    return Ok(());
                }
            }
        }
        self.seen.bytes = rows.bytes();
        if self.seen != self.checked || !self.input.is_untouched() {
            return Err(changed(self.input.name(), "it was written to"));
        }
        for last in [Portion::Rows(portion), Portion::End] {
            let _ = self.give.send(last);
        }
        Ok(())
    }

    fn take(&mut self, line: Line) -> Result<Option<NewRow>, Error> {
        self.seen.rows += 1;
        match self.desk.accept(line.row)? {
            Ok(row) => Ok(Some(row)),
            Err(problems) => {
                self.seen.wrong += 1;
                if self.seen.wrong > self.checked.wrong {
                    let first = problems.first().map(|problem| report("line", line.number, problem));
                    return Err(changed(self.input.name(), &first.unwrap_or_default()));
                }
                Ok(None)
            }
        }
    }
}

/// The system gives no thread.
pub fn no_thread(error: &std::io::Error) -> Error {
    Error::new(Exit::TempFail, format!("start a thread: {error}"))
}

fn changed(name: &str, how: &str) -> Error {
    Error::new(Exit::TempFail, format!("{name}: changed while it was read ({how}); nothing was enqueued"))
        .hint("enqueue it again when nobody writes to it any more")
}
