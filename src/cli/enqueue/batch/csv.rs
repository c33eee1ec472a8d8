//! Rows as comma-separated values (RFC 4180); the first line names the fields.
//!
//! Built on csv-core, the parser inside the csv crate, because that crate reads a record of any length into
//! memory, and takes a quote that nobody closes for a field that reaches to the end of the file.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader};

use super::rows::{Line, Unreadable};
use crate::cli::enqueue::args::not_utf8;
use crate::model::{Limits, Problem};
use crate::wire::row::{Builder, Field, Row};

/// The records of `source`.
pub struct Records<R> {
    source: R,
    parser: Reader,
    columns: Vec<Column>,
    record: Record,
    longest: usize,
    line: u64,
    bytes: u64,
}

/// What a column holds.
enum Column {
    Field(Field),
    /// A header of its own, from `header.X-Name`.
    Header(String),
}

/// The cells of one record, one after another.
#[derive(Default)]
struct Record {
    cells: Vec<u8>,
    ends: Vec<usize>,
    /// How many of each are in use.
    used: (usize, usize),
}

/// How reading a record ended.
enum Read {
    End,
    Whole,
    TooLong,
    QuoteLeftOpen,
}

impl<R: BufRead> Records<R> {
    /// The most columns.
    const COLUMNS: usize = Field::ALL.len() + Limits::HEADERS;

    /// Records of at most `longest` bytes.
    ///
    /// # Errors
    /// When the first line names something that is no field.
    pub fn open(source: R, longest: usize) -> Result<Self, Unreadable> {
        let mut records = Self {
            source,
            parser: begun(),
            columns: Vec::new(),
            record: Record::default(),
            longest,
            line: 1,
            bytes: 0,
        };
        let (line, read) = records.read()?;
        let wrong = |what: String| Unreadable::Header { line, what };
        match read {
            Read::End => {}
            Read::Whole => records.columns = columns(&records.record).map_err(wrong)?,
            Read::TooLong => return Err(wrong("row: is too long".into())),
            Read::QuoteLeftOpen => return Err(wrong("row: opens a quote that is never closed".into())),
        }
        Ok(records)
    }

    /// The next row; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        let (number, read) = self.read()?;
        let row = match read {
            Read::End => return Ok(None),
            Read::Whole => self.row(),
            Read::TooLong => {
                let what = format!(
                    "is longer than {} bytes or has more than {} fields; is a quote left open?",
                    self.longest,
                    Self::COLUMNS
                );
                Row::torn(Problem::new("row", what))
            }
            Read::QuoteLeftOpen => Row::torn(Problem::new(
                "row",
                "opens a quote that is never closed; all that follows is in it",
            )),
        };
        Ok(Some(Line { number, row }))
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn row(&self) -> Row {
        let cells = self.record.used.1;
        if cells != self.columns.len() {
            let what = format!("has {cells} fields; the first line names {}", self.columns.len());
            return Row::torn(Problem::new("row", what));
        }
        let mut builder = Builder::default();
        for (cell, column) in self.record.cells().zip(&self.columns) {
            let name = match column {
                Column::Field(field) => field.name(),
                Column::Header(_) => Field::Headers.name(),
            };
            match (std::str::from_utf8(cell), column) {
                // An empty cell says nothing.
                (Ok(""), _) => {}
                (Ok(text), Column::Field(field)) => builder.set_text(*field, text.to_owned()),
                (Ok(text), Column::Header(name)) => builder.header(name.clone(), text.to_owned()),
                (Err(error), _) => builder.problem(not_utf8(name, &error)),
            }
        }
        builder.finish()
    }

    /// Reads one record, and says at which line it begins.
    fn read(&mut self) -> io::Result<(u64, Read)> {
        if !self.skip_blank_lines()? {
            return Ok((self.line, Read::End));
        }
        let line = self.line;
        self.record.used = (0, 0);
        let mut too_long = false;
        loop {
            let input = self.source.fill_buf()?;
            let at_end = input.is_empty();
            // The line end that a file may leave out: it ends the record, unless a quote is still open.
            let input = if at_end { b"\n" } else { input };
            let (result, read) = self.record.take(&mut self.parser, input);
            if !at_end {
                self.line += input[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
                self.bytes += read as u64;
                self.source.consume(read);
            }
            match result {
                ReadRecordResult::Record if too_long => return Ok((line, Read::TooLong)),
                ReadRecordResult::Record => return Ok((line, Read::Whole)),
                ReadRecordResult::InputEmpty if at_end => return Ok((line, Read::QuoteLeftOpen)),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => too_long |= !self.record.more_cells(self.longest),
                ReadRecordResult::OutputEndsFull => too_long |= !self.record.more_ends(Self::COLUMNS),
                ReadRecordResult::End => return Ok((line, Read::End)),
            }
        }
    }

    /// Says whether anything comes behind them. The parser would skip them too, but not count them.
    fn skip_blank_lines(&mut self) -> io::Result<bool> {
        loop {
            match self.source.fill_buf()?.first() {
                None => return Ok(false),
                Some(b'\n') => self.line += 1,
                Some(b'\r') => {}
                Some(_) => return Ok(true),
            }
            self.source.consume(1);
            self.bytes += 1;
        }
    }
}

/// A parser that has read a blank line: at its very beginning it drops a byte order mark of its own, and takes one
/// that comes alone for the end of the file.
fn begun() -> Reader {
    let mut parser = Reader::new();
    parser.read_record(b"\n", &mut [], &mut []);
    parser
}

impl Record {
    /// Lets the parser read on; says how it ended, and how much of `input` it took.
    fn take(&mut self, parser: &mut Reader, input: &[u8]) -> (ReadRecordResult, usize) {
        let (cells, ends) = (&mut self.cells[self.used.0..], &mut self.ends[self.used.1..]);
        let (result, read, cells, ends) = parser.read_record(input, cells, ends);
        self.used.0 += cells;
        self.used.1 += ends;
        (result, read)
    }

    /// Room for more bytes; at `most` the record is only read to its end, over and over the same room.
    fn more_cells(&mut self, most: usize) -> bool {
        if self.cells.len() >= most {
            self.used.0 = 0;
            return false;
        }
        self.cells.resize((self.cells.len() * 2).clamp(4_096, most.max(4_096)), 0);
        true
    }

    /// The same for the ends of cells.
    fn more_ends(&mut self, most: usize) -> bool {
        if self.ends.len() > most {
            self.used.1 = 0;
            return false;
        }
        // One more than may be: the record that has it is seen to be too long.
        self.ends.resize(most + 1, 0);
        true
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.used.1];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).map(|(start, end)| &self.cells[start..*end])
    }
}

/// What each column holds, or everything that is wrong with their names.
fn columns(record: &Record) -> Result<Vec<Column>, String> {
    let (is_single, names) = (record.cells().count() == 1, Field::ALL.map(Field::name).join(", "));
    if is_a_row(record, is_single) {
        return Err(format!("row: names no field; is the line with the names missing? There are {names}"));
    }
    let (mut columns, mut wrong) = (Vec::new(), Vec::new());
    let mut seen: Vec<&str> = Vec::new();
    for (number, cell) in (1..).zip(record.cells()) {
        let Ok(name) = std::str::from_utf8(cell).map(str::trim) else {
            wrong.push("row: a name is not UTF-8".to_owned());
            continue;
        };
        if seen.contains(&name) {
            wrong.push("row: names a field twice".to_owned());
        }
        seen.push(name);
        match name.strip_prefix("header.") {
            Some(header) => columns.push(Column::Header(header.to_owned())),
            None => match Field::of(name) {
                Ok(field) => columns.push(Column::Field(field)),
                Err(_) if is_single && name.contains([';', '\t']) => {
                    wrong.push("row: fields are separated by commas".to_owned());
                }
                Err(problem) if Field::is_near(name) => wrong.push(problem.to_string()),
                // It may say whom something is told, and what.
                Err(_) => wrong.push(format!("row: column {number} names no field; there are {names}")),
            },
        }
    }
    if wrong.is_empty() { Ok(columns) } else { Err(wrong.join("; ")) }
}

/// Whether it looks like the first row of a file that names no fields: then nothing of it is repeated, for it may say
/// whom something is told, and what.
fn is_a_row(record: &Record, is_single: bool) -> bool {
    let is_name = |cell: &[u8]| {
        std::str::from_utf8(cell).is_ok_and(|name| {
            let name = name.trim();
            name.starts_with("header.") || Field::is_near(name) || is_single && name.contains([';', '\t'])
        })
    };
    !record.cells().any(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(text: &[u8], longest: usize) -> Result<Records<io::BufReader<&[u8]>>, Unreadable> {
        // A small buffer, so that records and line ends are torn apart.
        Records::open(io::BufReader::with_capacity(5, text), longest)
    }

    fn read(text: &str) -> Vec<(u64, Result<Row, String>)> {
        let mut records = open(text.as_bytes(), 5_000).unwrap();
        let mut found = Vec::new();
        while let Some(line) = records.next().unwrap() {
            let row = match line.row.flaws.first() {
                None => Ok(line.row),
                Some(flaw) => Err(flaw.to_string()),
            };
            found.push((line.number, row));
        }
        assert_eq!(records.bytes(), text.len() as u64);
        found
    }

    fn row(to: &str, message: &str) -> Row {
        Row { to: vec![to.into()], message: Some(message.into()), ..Row::default() }
    }

    #[test]
    fn quotes_line_breaks_in_cells_and_blank_lines_are_read_with_their_line_numbers() {
        let text = "to,message\r\n\r\na,\"x,\"\"y\"\"\r\nz\"\r\n\n\nb,plain\r\nc,last";
        let wanted = [(3, row("a", "x,\"y\"\r\nz")), (7, row("b", "plain")), (8, row("c", "last"))];
        assert_eq!(read(text), wanted.map(|(line, row)| (line, Ok(row))));
        assert_eq!(read(""), []);
        assert_eq!(read("to,message\n"), []);
        assert_eq!(read("to,message\na,\"b\""), [(2, Ok(row("a", "b")))]);
    }

    #[test]
    fn an_empty_cell_says_nothing_and_lists_are_json() {
        let found =
            read("to,subject,header.X-A,headers\n\"[\"\"a\"\",\"\"b\"\"]\",,1,\"{\"\"X-B\"\":\"\"2\"\"}\"\n");
        let headers = vec![("X-A".to_owned(), "1".to_owned()), ("X-B".to_owned(), "2".to_owned())];
        let wanted = Row { to: vec!["a".into(), "b".into()], headers, ..Row::default() };
        assert_eq!(found, [(2, Ok(wanted))]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_and_swallows_no_row_in_silence() {
        let found = read("to,message\na,ok\nb,\"open\nc,lost\n");
        assert_eq!(found[0], (2, Ok(row("a", "ok"))));
        assert_eq!(found[1].0, 3);
        assert!(found[1].1.as_ref().unwrap_err().contains("never closed"), "{found:?}");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_record_that_is_too_long_is_one_problem_and_the_next_one_is_read() {
        for long in ["x".repeat(20_000), format!("\"{}\"", "x\n".repeat(10_000)), ",".repeat(1_000)] {
            let found = read(&format!("to,message\na,{long}\nb,ok\n"));
            assert!(found[0].1.as_ref().unwrap_err().contains("is longer than"), "{:?}", found[0].0);
            assert_eq!(found[1].1, Ok(row("b", "ok")));
            assert_eq!(found.len(), 2);
        }
    }

    #[test]
    fn wrong_counts_and_wrong_bytes_are_told_per_row() {
        assert_eq!(read("to,message\na\n"), [(2, Err("row: has 1 fields; the first line names 2".into()))]);
        let mut records = open(b"to,message\na\xff,b\n", 100).unwrap();
        let flaws = records.next().unwrap().unwrap().row.flaws;
        assert_eq!(flaws[0].to_string(), "to: is not UTF-8 from byte 2 on");
    }

    #[test]
    fn the_first_line_must_name_fields() {
        let wrong = |text: &str| open(text.as_bytes(), 5_000).err().unwrap().to_string();
        assert_eq!(wrong("to,mesage\n"), "line 1: row: has no field `mesage`; did you mean `message`?");
        assert_eq!(wrong("\nto;message\n"), "line 2: row: fields are separated by commas");
        assert_eq!(wrong("to,to\n"), "line 1: row: names a field twice");
        assert!(wrong("\"to\n").contains("never closed"));
        // The mark before the file is dropped by whoever opens it: another one is part of the name.
        let marked = open("\u{feff}to,message\na,b\n".as_bytes(), 5_000).err().unwrap().to_string();
        assert_eq!(marked, wrong("\u{feff}to,message\n"));
        assert!(marked.contains("has no field"), "{marked}");
    }

    #[test]
    fn a_first_line_that_is_a_row_is_not_repeated() {
        for row in ["joan@example.org,secret\n", "joan@example.org\n", "\"secret\",Gr\u{fc}n\n"] {
            let said = open(row.as_bytes(), 5_000).err().unwrap().to_string();
            assert!(said.starts_with(
                "line 1: row: names no field; is the line with the names missing? There are channel, "
            ));
            assert!(!said.contains("joan") && !said.contains("secret"), "{said}");
        }
        for row in
            ["joan@example.org,\"secret; really\"\n", "joan@example.org,to\n", "joan@example.org;secret\n"]
        {
            let said = open(row.as_bytes(), 5_000).err().unwrap().to_string();
            assert!(!said.contains("joan") && !said.contains("secret"), "{said}");
        }
        let torn = open(b"joan@example.org,\xff\n", 5_000).err().unwrap().to_string();
        assert!(torn.contains("names no field") && !torn.contains("joan"), "{torn}");
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_every_byte_is_counted(text in prop::collection::vec(
            prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200
        )) {
            let text = [b"to,message\n", &text[..]].concat();
            let mut records = open(&text, 50).unwrap();
            while records.next().unwrap().is_some() {}
            prop_assert_eq!(records.bytes(), text.len() as u64);
        }
    }
}
