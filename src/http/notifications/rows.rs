//! From a body to rows: one object, an array of them, or an object a line.

use axum::http::StatusCode;
use serde_json::value::RawValue;

use crate::http::body::Form;
use crate::http::problem::{Problem, RowProblem};
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

/// Reads them. What is wrong within a row is in the row.
pub(super) fn read(form: Form, body: &[u8]) -> Result<Rows, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let what = format!("the body is not UTF-8 from byte {} on", error.valid_up_to() + 1);
        Problem::new(StatusCode::BAD_REQUEST).detail(what)
    })?;
    let read = match form {
        Form::Json if text.trim_start().starts_with('[') => Rows { single: false, rows: array(text)? },
        Form::Json => Rows { single: true, rows: vec![(String::new(), row::parse(text))] },
        Form::Lines => Rows { single: false, rows: lines(text) },
    };
    match read.rows.len() {
        0 => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail("the body holds no rows")),
        n if n > ROWS => Err(too_many(n)),
        _ => Ok(read),
    }
}

/// More than one request may hold.
pub(super) fn too_many(count: usize) -> Problem {
    let what = format!("the request holds {count} notifications; at most {ROWS} are taken at once");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(what)
}

fn array(text: &str) -> Result<Vec<(String, Row)>, Problem> {
    let all: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        let problem = model::Problem::new("row", format!("is not JSON: {}", row::said_where(&error)));
        not_json(vec![RowProblem::new("", problem)])
    })?;
    let row = |(index, raw): (usize, &RawValue)| (format!("/{index}"), row::parse(raw.get()));
    Ok(all.into_iter().enumerate().map(row).collect())
}

/// Blank lines are passed over; the pointer names the line, from 1.
fn lines(text: &str) -> Vec<(String, Row)> {
    let full = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    full.map(|(index, line)| (format!("/{}", index + 1), row::parse(line))).collect()
}

/// The body, or a row of it, is no JSON at all.
pub(super) fn not_json(problems: Vec<RowProblem>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .detail("the body cannot be read; nothing was enqueued")
        .problems(problems)
}
