//! Standard output: results for programs and tables for people. A reader that leaves ends us quietly.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::Error;
use super::face::Face;
use crate::model::Timestamp;

/// The fewest columns that text is broken for.
const NARROWEST: u16 = 20;

/// Standard output, buffered.
pub struct Out {
    writer: BufWriter<io::Stdout>,
    terminal: bool,
}

impl Out {
    pub(super) fn stdout() -> Self {
        let stdout = io::stdout();
        Self { terminal: stdout.is_terminal(), writer: BufWriter::new(stdout) }
    }

    /// Whether a person is looking.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// For whom text is written here, at this moment.
    #[must_use]
    pub fn face(&self, now: Timestamp) -> Face {
        // A terminal that does not know its width says 0.
        let known = comfy_table::Table::new().width().filter(|width| *width >= NARROWEST);
        let width = if self.terminal { known } else { None };
        Face { colour: self.terminal && has_colours(), width, now }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When it cannot be written; [`Error::reader_left`] when the reader is gone.
    pub fn line(&mut self, line: impl std::fmt::Display) -> Result<(), Error> {
        let written = writeln!(self.writer, "{line}");
        // Talk on standard error keeps its place between the lines that a person reads.
        let written = if self.terminal { written.and_then(|()| self.writer.flush()) } else { written };
        written.map_err(|error| Error::output(&error))
    }

    /// Writes text that ends its own lines.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn text(&mut self, text: &str) -> Result<(), Error> {
        self.writer.write_all(text.as_bytes()).map_err(|error| Error::output(&error))
    }

    /// Writes one JSON value as a line.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(value).map_err(|error| Error::internal(error.to_string()))?;
        self.line(text)
    }

    /// Writes what is buffered, for a reader that follows.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(|error| Error::output(&error))
    }

    /// Whether nobody reads any more what is written here: for who has nothing to write, and would not notice.
    #[must_use]
    pub fn reader_left(&self) -> bool {
        let mut stdout = [PollFd::from_borrowed_fd(self.writer.get_ref().as_fd(), PollFlags::empty())];
        poll(&mut stdout, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
            && stdout[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
    }

    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.flush()
    }
}

/// Whether a terminal may be coloured: <https://no-color.org>, and not a dumb one.
fn has_colours() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// One line of talk on standard error; a log that nobody can write is no reason to fail.
pub fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "notifyctl: {line}");
}
