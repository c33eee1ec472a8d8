//! The rows of a batch.

use notifyctl::channel::{Options, recipient, smtp};
use notifyctl::cli::fuzz::{Format, read_rows};
use notifyctl::model::{Attachment, Limits, Problem, Timestamp};
use notifyctl::units;
use notifyctl::wire::row::{Intake, Row, Terms};

/// The longest row, small enough that a fuzzer goes beyond it.
const LONGEST: usize = 1 << 12;

pub fn ndjson(data: &[u8]) {
    batch(data, Format::Ndjson);
}

pub fn csv(data: &[u8]) {
    batch(data, Format::Csv);
}

/// Any bytes as a batch: the same rows however they are read, and a row that is accepted is fit for the store.
fn batch(data: &[u8], format: Format) {
    let whole = read_rows(Box::new(data), format, LONGEST);
    // Pieces of one to seven bytes, from within what is given.
    let size = 1 + data.len() % 7;
    let pieces = read_rows(Box::new(Pieces { data, size }), format, LONGEST);
    assert_eq!(whole, pieces, "in pieces of {size}");
    for (number, row) in whole.into_iter().flatten() {
        assert!(number >= 1);
        accept(row);
    }
}

/// Gives at most so many bytes at a time.
struct Pieces<'a> {
    data: &'a [u8],
    size: usize,
}

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.size);
        std::io::Read::read(&mut self.data, &mut buffer[..n])
    }
}

fn accept(row: Row) {
    let limits = Limits { message: 1 << 12, attachments: 1 << 12 };
    let now = Timestamp(1_800_000_000_000);
    let terms = Terms { now, limits, channel: "mail".into(), ttl: None };
    let flawed = !row.flaws.is_empty();
    match row.into_new(&terms, &mut Desk) {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
        }
        Ok(new) => {
            assert!(!flawed, "accepted with flaws");
            assert!(new.len() >= 1);
            for one in new {
                assert_eq!(one.problems(&limits), [], "accepted what the store must not take");
                recipient::mailbox(&one.content.recipient).expect("what is kept reads back");
            }
        }
    }
}

/// One mail channel that tells nobody by itself, one user, no files.
struct Desk;

impl Intake for Desk {
    fn route(&mut self, channel: &str) -> Result<&[String], Problem> {
        match channel {
            "mail" => Ok(&[]),
            _ => Err(Problem::new("channel", "is unknown")),
        }
    }

    fn recipient(&mut self, _channel: &str, recipient: &str) -> Result<String, Problem> {
        recipient::check(&Options::Smtp(smtp::Options::new("localhost")), recipient)
    }

    fn user(&mut self, id: &str) -> Result<String, Problem> {
        match id {
            "42" => Ok("ann@example.org".into()),
            _ => Err(Problem::new("user_id", "is unknown")),
        }
    }

    fn at(&mut self, text: &str) -> Result<Timestamp, Problem> {
        let now = Timestamp(1_800_000_000_000);
        units::at(text, now, &chrono::Utc).map_err(|error| Problem::new("not_before", error.to_string()))
    }

    fn file(&mut self, _path: &str) -> Result<Attachment, Problem> {
        Err(Problem::new("attachments", "no files here"))
    }
}
