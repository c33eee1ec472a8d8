//! The second pass: feeds the store row by row, and rolls back when the input is not what was checked.

use super::check::{Tally, report};
use super::desk::Desk;
use super::input::Input;
use super::progress::Progress;
use super::rows::{Line, Rows};
use crate::cli::{Error, Exit};
use crate::store::Next;
use crate::wire::row::NewRow;

/// The source of a batch, as the store asks it.
pub struct Feed<'a, 'b> {
    desk: &'a mut Desk<'b>,
    input: &'a Input,
    rows: Rows<'a>,
    checked: Tally,
    seen: Tally,
    /// The row whose notifications are being handed over.
    row: Option<NewRow>,
    failure: Option<Error>,
    progress: Progress,
}

impl<'a, 'b> Feed<'a, 'b> {
    /// Reads `input` again, from where the first pass began to where it ended.
    pub fn new(desk: &'a mut Desk<'b>, input: &'a Input, checked: Tally) -> Result<Self, Error> {
        let progress = Progress::start("enqueueing", Some(checked.bytes));
        let rows = input.again(checked.bytes)?;
        Ok(Self { desk, input, rows, checked, seen: Tally::default(), row: None, failure: None, progress })
    }

    /// The next notification, or what to do in place of it.
    pub fn next(&mut self) -> Next {
        loop {
            if let Some(new) = self.row.as_mut().and_then(Iterator::next) {
                return Next::Row(Box::new(new));
            }
            match self.rows.next() {
                Ok(Some(line)) => match self.take(line) {
                    Ok(row) => self.row = row,
                    Err(error) => return self.roll_back(error),
                },
                Ok(None) => {
                    self.seen.bytes = self.rows.bytes();
                    return if self.seen == self.checked && self.input.is_untouched() {
                        Next::Commit
                    } else {
                        self.roll_back(changed(self.input.name(), "it was written to"))
                    };
                }
                Err(error) => {
                    let error = error.of(self.input.name());
                    return self.roll_back(error);
                }
            }
        }
    }

    /// Why nothing was enqueued, if the source was the reason.
    pub fn end(self) -> Result<(), Error> {
        self.progress.end();
        self.failure.map_or(Ok(()), Err)
    }

    fn take(&mut self, line: Line) -> Result<Option<NewRow>, Error> {
        self.seen.rows += 1;
        self.progress.row(self.rows.bytes());
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

    fn roll_back(&mut self, error: Error) -> Next {
        self.failure = Some(error);
        Next::RollBack
    }
}

fn changed(name: &str, how: &str) -> Error {
    Error::new(Exit::TempFail, format!("{name}: changed while it was read ({how}); nothing was enqueued"))
        .hint("enqueue it again when nobody writes to it any more")
}
