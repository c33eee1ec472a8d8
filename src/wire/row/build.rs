//! A row while it is put together, field by field; every problem is kept, not only the first.

use std::time::Duration;

use serde::de::DeserializeSeed;
use serde_json::Value;

use super::bounded::{Bounded, Bounds};
use super::{Field, Row, attachment};
use crate::model::Problem;
use crate::units;

/// A row that is being read.
#[derive(Debug, Default)]
pub struct Builder {
    row: Row,
    /// One bit per field that was given.
    seen: u16,
}

impl Builder {
    /// Takes a field's value; JSON's null means that the field is left out.
    pub fn set(&mut self, field: Field, value: Value) {
        if !self.first(field) {
            return;
        }
        match (field, value) {
            (_, Value::Null) => {}
            (Field::To, Value::String(one)) => self.row.to = vec![one],
            (Field::To, Value::Array(all)) => self.recipients(all),
            (Field::Headers, value) => self.headers(value),
            (Field::Attachments, Value::Array(all)) => {
                for one in all {
                    match attachment::read(one) {
                        Ok(one) => self.row.attachments.push(one),
                        Err(problem) => self.problem(problem),
                    }
                }
            }
            (Field::Attachments, other) => self.wrong(field, &other, "a list"),
            (field, Value::String(text)) => self.scalar(field, text),
            (Field::In | Field::Ttl, other) => self.wrong(field, &other, "a text with a unit, as in \"90s\""),
            (Field::To, other) => self.wrong(field, &other, "a text or a list of texts"),
            (_, other) => self.wrong(field, &other, "a text"),
        }
    }

    /// Takes a field as it stands in a cell or in an option: plain text, JSON where the field is a list.
    pub fn set_text(&mut self, field: Field, text: String) {
        let is_json = match field {
            Field::Headers | Field::Attachments => true,
            Field::To => text.starts_with('['),
            _ => false,
        };
        if !is_json {
            self.set(field, Value::String(text));
            return;
        }
        let (mut bounds, mut reader) = (Bounds::new(Row::VALUES), serde_json::Deserializer::from_str(&text));
        let read = Bounded(&mut bounds).deserialize(&mut reader);
        match read.and_then(|value| reader.end().map(|()| value)) {
            Ok(_) if bounds.twice => self.twice(field),
            Ok(value) => self.set(field, value),
            Err(error) => {
                self.problem(Problem::new(
                    field.name(),
                    format!("is not JSON: {}", super::json::said(&error)),
                ));
            }
        }
    }

    /// Takes a field in whose value an object has a name twice.
    pub(super) fn twice(&mut self, field: Field) {
        if self.first(field) {
            self.problem(Problem::new(field.name(), "an object in it has a name twice; keep one"));
        }
    }

    /// Adds one header.
    pub fn header(&mut self, name: String, value: String) {
        self.row.headers.push((name, value));
    }

    /// Keeps a problem, as long as there are not many.
    pub fn problem(&mut self, problem: Problem) {
        if self.row.flaws.len() < Row::FLAWS {
            self.row.flaws.push(problem);
        }
    }

    /// The row, with everything that is wrong with it.
    #[must_use]
    pub fn finish(self) -> Row {
        self.row
    }

    fn first(&mut self, field: Field) -> bool {
        let bit = 1 << field as u16;
        if self.seen & bit != 0 {
            self.problem(Problem::new(field.name(), "is given twice"));
            return false;
        }
        self.seen |= bit;
        true
    }

    fn wrong(&mut self, field: Field, value: &Value, wanted: &str) {
        self.problem(Problem::new(field.name(), format!("is {}; write {wanted}", kind_of(value))));
    }

    fn scalar(&mut self, field: Field, text: String) {
        let row = &mut self.row;
        match field {
            Field::Channel => row.channel = Some(text),
            Field::UserId => row.user_id = Some(text),
            Field::Subject => row.subject = Some(text),
            Field::Message => row.message = Some(text),
            Field::Html => row.html = Some(text),
            Field::NotBefore => row.not_before = Some(text),
            Field::Key => row.key = Some(text),
            Field::Priority => match text.parse() {
                Ok(priority) => row.priority = Some(priority),
                Err(_) => {
                    let what = "is not one of critical, high, normal, low";
                    self.problem(Problem::new(field.name(), what));
                }
            },
            Field::In => self.row.wait = self.duration(field, &text),
            Field::Ttl => self.row.ttl = self.duration(field, &text),
            Field::To | Field::Headers | Field::Attachments => {
                self.problem(Problem::new(field.name(), "is a text; write a list"));
            }
        }
    }

    fn duration(&mut self, field: Field, text: &str) -> Option<Duration> {
        match units::duration(text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.problem(Problem::new(field.name(), error.to_string()));
                None
            }
        }
    }

    fn recipients(&mut self, all: Vec<Value>) {
        for one in all {
            match one {
                Value::String(one) => self.row.to.push(one),
                other => {
                    let what = format!("one is {}; write a text or a list of texts", kind_of(&other));
                    self.problem(Problem::new("to", what));
                }
            }
        }
        if self.row.to.is_empty() {
            self.problem(Problem::new("to", "is an empty list; name a recipient or leave it out"));
        }
    }

    /// An object, or a list of pairs for a name that comes more than once.
    fn headers(&mut self, value: Value) {
        match value {
            Value::Object(all) => all.into_iter().for_each(|(name, value)| self.pair(name, value)),
            Value::Array(all) if all.is_empty() => {
                let what = "is an empty list; write an object, or a list of pairs, or leave it out";
                self.problem(Problem::new("headers", what));
            }
            Value::Array(all) => {
                for one in all {
                    match pair(one) {
                        Some((name, value)) => self.pair(name, value),
                        None => self.problem(Problem::new("headers", "one is not a pair of name and value")),
                    }
                }
            }
            other => self.wrong(Field::Headers, &other, "an object, or a list of pairs"),
        }
    }

    fn pair(&mut self, name: String, value: Value) {
        match value {
            Value::String(value) => self.header(name, value),
            other => {
                let what = format!("a value is {}; write a text", kind_of(&other));
                self.problem(Problem::new("headers", what));
            }
        }
    }
}

fn pair(value: Value) -> Option<(String, Value)> {
    let Value::Array(both) = value else { return None };
    let [Value::String(name), value] = <[Value; 2]>::try_from(both).ok()? else { return None };
    Some((name, value))
}

/// What a JSON value is, for people; never the value itself.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
