//! The rows of a batch, one after another, whatever they are written in.

use std::io::{self, BufReader, Cursor, Read};

use super::csv::Records;
use super::input::{NoCopy, READ_LATER};
use super::lines::Lines;
use crate::cli::enqueue::args::Format;
use crate::cli::enqueue::problems::Clean;
use crate::cli::{Error, Exit};
use crate::wire::row::Row;

/// One row, and where it began.
#[derive(Debug)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// The row.
    pub row: Row,
}

/// The rows of a batch.
pub struct Rows<'a> {
    /// Bytes of the byte order mark.
    mark: u64,
    written: Written<'a>,
}

/// The rows of one format.
enum Written<'a> {
    /// One JSON object per line.
    Ndjson(Lines<Source<'a>>),
    /// Comma-separated values.
    Csv(Box<Records<Source<'a>>>),
}

/// Where the bytes of a batch come from.
pub type Source<'a> = BufReader<Box<dyn Read + 'a>>;

impl<'a> Rows<'a> {
    /// Rows of at most `longest` bytes; a byte order mark before them is dropped.
    ///
    /// # Errors
    /// When the columns of a CSV file are not known.
    pub fn open(read: Box<dyn Read + 'a>, format: Format, longest: usize) -> Result<Self, Unreadable> {
        let (mark, read) = without_mark(read)?;
        let source = BufReader::with_capacity(1 << 16, read);
        let written = match format {
            Format::Ndjson => Written::Ndjson(Lines::new(source, longest)),
            Format::Csv => Written::Csv(Box::new(Records::open(source, longest)?)),
        };
        Ok(Self { mark, written })
    }

    /// The next row; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Line>, Unreadable> {
        match &mut self.written {
            Written::Ndjson(lines) => Ok(lines.next()?),
            Written::Csv(records) => Ok(records.next()?),
        }
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.mark
            + match &self.written {
                Written::Ndjson(lines) => lines.bytes(),
                Written::Csv(records) => records.bytes(),
            }
    }
}

/// All rows of `read` with their numbers, or why they cannot be read, as text: for the fuzz targets.
///
/// # Errors
/// When the columns of a CSV file are not known.
pub fn read_rows(
    read: Box<dyn Read + '_>,
    format: Format,
    longest: usize,
) -> Result<Vec<(u64, Row)>, String> {
    let mut rows = Rows::open(read, format, longest).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    while let Some(Line { number, row }) = rows.next().map_err(|error| error.to_string())? {
        all.push((number, row));
    }
    Ok(all)
}

/// A batch that cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The first line of a CSV file does not name fields.
    #[error("line {line}: {what}")]
    Header {
        /// Where it is.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl Unreadable {
    /// The failure of the command.
    pub fn of(&self, name: &str) -> Error {
        match self {
            Self::Io(error) if error.get_ref().is_some_and(|error| error.is::<NoCopy>()) => {
                Error::new(Exit::TempFail, format!("{name}: {error}; nothing was enqueued"))
                    .hint("set TMPDIR to a folder with room for it, or give a file in place of a pipe")
            }
            Self::Io(error) => Error::new(Exit::IoErr, format!("read {name}: {error}")).hint(READ_LATER),
            Self::Header { line, what } => {
                let what = format!("{name}:{line}: {}; nothing was enqueued", Clean(what));
                Error::new(Exit::DataErr, what).hint("the first line of a CSV file names the fields")
            }
        }
    }
}

/// Without the byte order mark that some editors put first; says how many bytes that were.
fn without_mark<'a>(mut read: Box<dyn Read + 'a>) -> io::Result<(u64, Box<dyn Read + 'a>)> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let mut head = Vec::with_capacity(MARK.len());
    (&mut *read).take(MARK.len() as u64).read_to_end(&mut head)?;
    if head == MARK {
        return Ok((MARK.len() as u64, read));
    }
    Ok((0, Box::new(Cursor::new(head).chain(read))))
}
