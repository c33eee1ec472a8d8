//! Rows as lines of JSON. Blank lines are passed over.

use std::io::{self, BufRead, Read};

use super::rows::Line;
use crate::cli::enqueue::args::not_utf8;
use crate::model::Problem;
use crate::wire::row::{self, Row};

/// The lines of `source`.
pub struct Lines<R> {
    source: R,
    longest: usize,
    /// Of the line that was read last; kept for its memory.
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// Lines of at most `longest` bytes.
    pub fn new(source: R, longest: usize) -> Self {
        Self { source, longest, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next row; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            self.line.clear();
            let most = self.longest as u64 + 1;
            let read = self.source.by_ref().take(most).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.bytes += read as u64;
            let whole = self.line.ends_with(b"\n") || self.line.len() <= self.longest;
            if !whole {
                self.bytes += self.source.skip_until(b'\n')? as u64;
                let what = format!("is longer than {} bytes", self.longest);
                return Ok(Some(Line { number: self.number, row: Row::torn(Problem::new("row", what)) }));
            }
            let line = self.line.trim_ascii();
            if !line.is_empty() {
                let row = match std::str::from_utf8(line) {
                    Ok(text) => row::parse(text),
                    Err(error) => Row::torn(not_utf8("row", &error)),
                };
                return Ok(Some(Line { number: self.number, row }));
            }
        }
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], longest: usize) -> Vec<(u64, Result<String, String>)> {
        let mut lines = Lines::new(io::BufReader::with_capacity(7, bytes), longest);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let row = match line.row.flaws.first() {
                None => Ok(line.row.message.unwrap_or_default()),
                Some(flaw) => Err(flaw.to_string()),
            };
            found.push((line.number, row));
        }
        assert_eq!(lines.bytes(), bytes.len() as u64);
        found
    }

    #[test]
    fn blank_lines_crlf_and_a_missing_last_line_end_are_taken_as_they_are_meant() {
        let found = read(b"{\"message\":\"a\"}\r\n\n  \r\n{\"message\":\"b\"}", 100);
        assert_eq!(found, [(1, Ok("a".into())), (4, Ok("b".into()))]);
        assert_eq!(read(b"", 100), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_problem_and_the_next_one_is_read() {
        let mut bytes = vec![b'x'; 5_000];
        bytes.extend(b"\n{\"message\":\"b\"}\n");
        let found = read(&bytes, 100);
        assert_eq!(found, [(1, Err("row: is longer than 100 bytes".into())), (2, Ok("b".into()))]);
    }

    #[test]
    fn bytes_that_are_not_text_are_told_with_their_place() {
        let found = read(b"{\"message\":\"a\xff\"}\n", 100);
        assert_eq!(found, [(1, Err("row: is not UTF-8 from byte 14 on".into()))]);
    }
}
