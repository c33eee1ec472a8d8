//! One notification as it is written outside: a line of NDJSON, a record of CSV, a body over HTTP.
//!
//! Owns the fields, their types and the way from a row to what the store takes. Does no I/O: what a row
//! cannot know by itself (channels, users, files) it asks an [`Intake`].

mod accept;
mod attachment;
mod bounded;
mod build;
mod digest;
mod field;
mod json;

use std::time::Duration;

pub use accept::{Intake, NewRow, Terms};
pub use attachment::{RowAttachment, media_type};
pub use build::Builder;
pub use digest::sha256;
pub use field::Field;
pub use json::{parse, said_where};

use crate::model::{Priority, Problem};

/// The fields of one row, each of the right type; what is missing, or wrong, is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The channel's name.
    pub channel: Option<String>,
    /// Who is told; each gets a notification of their own.
    pub to: Vec<String>,
    /// The caller's id of the user who is told.
    pub user_id: Option<String>,
    /// One line.
    pub subject: Option<String>,
    /// The text.
    pub message: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
    /// How much it hurries.
    pub priority: Option<Priority>,
    /// The earliest moment, as `--at` reads it.
    pub not_before: Option<String>,
    /// The same as a wait from now (`in`).
    pub wait: Option<Duration>,
    /// How long it is useful, from its earliest moment on.
    pub ttl: Option<Duration>,
    /// The duplicate guard.
    pub key: Option<String>,
    /// Further headers, as (name, value).
    pub headers: Vec<(String, String)>,
    /// Files that travel with it.
    pub attachments: Vec<RowAttachment>,
    /// What was wrong in reading it; told together with what is found when it is accepted.
    pub flaws: Vec<Problem>,
    /// Whether it could not be read to its end: then nothing else is to be said of it.
    pub torn: bool,
}

impl Row {
    /// The most recipients of one row.
    pub const RECIPIENTS: usize = 1_000;

    /// The most values that are read of one row, and the most flaws that are told of it: more than a row that is meant has.
    const VALUES: usize = 10_000;
    const FLAWS: usize = 100;

    /// What could not be read as a row at all.
    #[must_use]
    pub fn torn(flaw: Problem) -> Self {
        Self { flaws: vec![flaw], torn: true, ..Self::default() }
    }

    /// This row, completed by `defaults` where it says nothing. `to` and `user_id` go together, so do
    /// `not_before` and `in`; headers are added by name.
    #[must_use]
    pub fn or(mut self, defaults: &Self) -> Self {
        if self.to.is_empty() && self.user_id.is_none() {
            self.to.clone_from(&defaults.to);
            self.user_id.clone_from(&defaults.user_id);
        }
        if self.not_before.is_none() && self.wait.is_none() {
            self.not_before.clone_from(&defaults.not_before);
            self.wait = defaults.wait;
        }
        for (name, value) in &defaults.headers {
            if !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
                self.headers.push((name.clone(), value.clone()));
            }
        }
        if self.attachments.is_empty() {
            self.attachments.clone_from(&defaults.attachments);
        }
        Self {
            channel: self.channel.or_else(|| defaults.channel.clone()),
            subject: self.subject.or_else(|| defaults.subject.clone()),
            message: self.message.or_else(|| defaults.message.clone()),
            html: self.html.or_else(|| defaults.html.clone()),
            priority: self.priority.or(defaults.priority),
            ttl: self.ttl.or(defaults.ttl),
            key: self.key.or_else(|| defaults.key.clone()),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_wins_over_its_defaults_and_headers_are_added_by_name() {
        let defaults = Row {
            to: vec!["all@example.org".into()],
            subject: Some("default".into()),
            wait: Some(Duration::from_secs(5)),
            headers: vec![("X-A".into(), "1".into()), ("X-B".into(), "2".into())],
            ..Row::default()
        };
        let row = Row {
            user_id: Some("u1".into()),
            not_before: Some("tomorrow 09:00".into()),
            headers: vec![("x-a".into(), "own".into())],
            ..Row::default()
        };
        let row = row.or(&defaults);
        assert_eq!(row.to, Vec::<String>::new());
        assert_eq!(row.subject.as_deref(), Some("default"));
        assert_eq!(row.wait, None);
        assert_eq!(row.headers, [("x-a".into(), "own".into()), ("X-B".to_owned(), "2".to_owned())]);
    }
}
