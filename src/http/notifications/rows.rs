//! From a body to rows: one object, an array of them, or an object a line.

use std::fmt;

use axum::http::StatusCode;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::http::body::Form;
use crate::http::problem::{NAMED, Problem, RowProblem};
use crate::model;
use crate::wire::row::{self, Row};

/// The most rows of one request.
pub(super) const ROWS: usize = 10_000;

/// The rows of a body.
#[derive(Debug)]
pub(super) struct Rows {
    /// Whether it was one object by itself.
    pub(super) single: bool,
    /// Each with what leads to it in a JSON pointer.
    pub(super) rows: Vec<(String, Row)>,
}

/// Reads them. What is wrong within a row is in the row; behind so many flaws that no more are told, the rest is not read.
pub(super) fn read(form: Form, body: &[u8]) -> Result<Rows, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let what = format!("the body is not UTF-8 from byte {} on", error.valid_up_to() + 1);
        Problem::new(StatusCode::BAD_REQUEST).detail(what)
    })?;
    let (single, texts) = match form {
        Form::Json if text.trim_start().starts_with('[') => (false, array(text)?),
        Form::Json => (true, Texts::single(text)),
        Form::Lines => (false, lines(text)),
    };
    match texts.count {
        0 => return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail("the body holds no rows")),
        n if n > ROWS => return Err(too_many(n)),
        _ => {}
    }
    let (mut rows, mut notifications, mut flaws) = (Vec::with_capacity(texts.count), 0, 0);
    for (place, text) in texts.kept {
        let row = row::parse(text);
        // A row of too many has an answer of its own.
        notifications += row.to.len().clamp(1, Row::RECIPIENTS + 1);
        if notifications > ROWS {
            return Err(too_many(notifications));
        }
        flaws += row.flaws.len();
        rows.push((place, row));
        if flaws >= NAMED {
            break;
        }
    }
    Ok(Rows { single, rows })
}

/// More than one request may hold.
pub(super) fn too_many(count: usize) -> Problem {
    let what = format!("the request holds {count} notifications; at most {ROWS} are taken at once");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(what)
}

/// The texts of rows, none of them read: each costs so much more than its text that too many are counted and not kept.
#[derive(Default)]
struct Texts<'a> {
    /// Each with what leads to it.
    kept: Vec<(String, &'a str)>,
    count: usize,
}

impl<'a> Texts<'a> {
    fn single(text: &'a str) -> Self {
        Self { kept: vec![(String::new(), text)], count: 1 }
    }

    fn add(&mut self, number: usize, text: &'a str) {
        self.count += 1;
        if self.count <= ROWS {
            self.kept.push((format!("/{number}"), text));
        }
    }
}

impl<'de> Deserialize<'de> for Texts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of notifications")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Texts<'de>, A::Error> {
                let mut texts = Texts::default();
                while let Some(raw) = all.next_element::<&RawValue>()? {
                    texts.add(texts.count, raw.get());
                }
                Ok(texts)
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

fn array(text: &str) -> Result<Texts<'_>, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let problem = model::Problem::new("row", format!("is not JSON: {}", row::said_where(&error)));
        not_json(vec![RowProblem::new("", problem)])
    })
}

/// Blank lines are passed over; the pointer names the line, from 1.
fn lines(text: &str) -> Texts<'_> {
    let mut texts = Texts::default();
    let full = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    full.for_each(|(number, line)| texts.add(number, line));
    texts
}

/// The body, or a row of it, is no JSON at all.
pub(super) fn not_json(problems: Vec<RowProblem>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .detail("the body cannot be read; nothing was enqueued")
        .problems(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many rows are made of a body, or the status of the answer.
    fn rows(form: Form, body: &str) -> Result<usize, StatusCode> {
        read(form, body.as_bytes()).map(|read| read.rows.len()).map_err(|problem| problem.status())
    }

    fn list(row: &str, count: usize) -> String {
        format!("[{}]", vec![row; count].join(","))
    }

    #[test]
    fn too_many_are_counted_and_none_of_them_is_read() {
        let text = list("{}", ROWS + 7);
        let texts = array(&text).unwrap();
        assert_eq!((texts.kept.len(), texts.count), (ROWS, ROWS + 7));
        let text = "{}\n\n".repeat(ROWS + 7);
        let texts = lines(&text);
        assert_eq!((texts.kept.len(), texts.count), (ROWS, ROWS + 7));
        assert_eq!((texts.kept[1].0.as_str(), texts.kept[1].1), ("/3", "{}"));
        for (form, text) in [(Form::Json, list("{}", ROWS + 1)), (Form::Lines, "{}\n".repeat(ROWS + 1))] {
            assert_eq!(rows(form, &text), Err(StatusCode::PAYLOAD_TOO_LARGE));
        }
        assert_eq!(rows(Form::Lines, &"{}\n".repeat(ROWS)), Ok(ROWS));
    }

    #[test]
    fn what_is_more_than_is_taken_or_told_is_not_read_to_its_end() {
        let to = |n: usize| format!("{{\"to\":{}}}", list("\"a\"", n));
        assert_eq!(rows(Form::Json, &list(&to(Row::RECIPIENTS), 10)), Ok(10));
        assert_eq!(rows(Form::Json, &list(&to(Row::RECIPIENTS), 11)), Err(StatusCode::PAYLOAD_TOO_LARGE));
        // That one alone is told what is wrong with it.
        assert_eq!(rows(Form::Json, &to(9 * Row::RECIPIENTS)), Ok(1));
        assert_eq!(rows(Form::Json, &list("7", NAMED + 7)), Ok(NAMED));
    }
}
