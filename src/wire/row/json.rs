//! A row from one line of JSON.

use std::fmt;

use super::bounded::{Bounded, Bounds};
use super::{Builder, Field, Row};
use crate::model::Problem;
use serde::Deserializer;
use serde::de::{Deserialize, IgnoredAny, MapAccess, Visitor};

/// Reads a row from a JSON object. A text that is none is torn, with the place at which it ends to be one.
#[must_use]
pub fn parse(text: &str) -> Row {
    let torn = |error: &serde_json::Error| {
        Row::torn(Problem::new("row", format!("is not JSON: {}", said_where(error))))
    };
    // Asked first, because serde's own words for a wrong type repeat the value, which may be personal.
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Row::torn(Problem::new("row", "is not a JSON object")),
            Err(error) => torn(&error),
        };
    }
    let mut builder = Builder::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut bounds = Bounds::new(Row::VALUES);
    let read = reader.deserialize_map(Fields(&mut builder, &mut bounds)).and_then(|()| reader.end());
    match read {
        Ok(()) => builder.finish(),
        Err(_) if bounds.left.is_none() => {
            Row::torn(Problem::new("row", format!("holds more than {} values", Row::VALUES)))
        }
        Err(error) => torn(&error),
    }
}

/// What serde_json says, with the line (unless there is but one) and the column.
#[must_use]
pub fn said_where(error: &serde_json::Error) -> String {
    match error.line() {
        0 | 1 => format!("{} (column {})", said(error), error.column()),
        line => format!("{} (line {line}, column {})", said(error), error.column()),
    }
}

/// What serde_json says, without the position within the line.
pub(super) fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// What is put together, and within which bounds.
struct Fields<'a>(&'a mut Builder, &'a mut Bounds);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the fields of a notification")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            // Values are read whatever their type, so that one row's problems are all found at once.
            let value = map.next_value_seed(Bounded(&mut *self.1))?;
            let is_twice = std::mem::take(&mut self.1.twice);
            match name {
                Ok(field) if is_twice => self.0.twice(field),
                Ok(field) => self.0.set(field, value),
                Err(problem) => self.0.problem(problem),
            }
        }
        Ok(())
    }
}

/// A field's name, recognised without being copied.
struct Name(Result<Field, Problem>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(Field::of(name)))
            }
        }
        deserializer.deserialize_identifier(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Priority;
    use proptest::prelude::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text).flaws.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_field_is_read() {
        let row = parse(
            r#"{"channel":"mail","to":["a@example.org","b@example.org"],"user_id":"u","subject":"s",
                "message":"m\n.","html":"<p>m","priority":"high","not_before":"2026-12-24 18:00","ttl":"90s",
                "key":"k","headers":{"X-A":"1"},"attachments":[{"name":"a.txt","content":"aGk="}],"in":null}"#,
        );
        assert_eq!((row.flaws.as_slice(), row.torn), (&[][..], false));
        assert_eq!(row.to, ["a@example.org", "b@example.org"]);
        assert_eq!(row.message.as_deref(), Some("m\n."));
        assert_eq!(row.priority, Some(Priority::High));
        assert_eq!(row.ttl.map(|ttl| ttl.as_secs()), Some(90));
        assert_eq!((row.wait, row.headers.len(), row.attachments.len()), (None, 1, 1));
    }

    #[test]
    fn headers_may_be_pairs_so_that_a_name_can_come_twice() {
        let row = parse(r#"{"headers":[["X-A","1"],["X-A","2"]]}"#);
        assert_eq!(row.headers, [("X-A".into(), "1".into()), ("X-A".to_owned(), "2".to_owned())]);
        let empty = "headers: is an empty list; write an object, or a list of pairs, or leave it out";
        assert_eq!(problems(r#"{"headers":[]}"#), [empty]);
        assert_eq!(problems(r#"{"headers":{}}"#), Vec::<String>::new());
        assert_eq!(problems(r#"{"headers":[["X-A"]]}"#), ["headers: one is not a pair of name and value"]);
    }

    #[test]
    fn all_problems_of_a_row_are_told_together_and_no_value_is_repeated() {
        let found = problems(
            r#"{"mesage":"secret","to":7,"subject":["secret"],"ttl":60,"priority":"urgent","headers":"secret",
                "attachments":{},"key":"a","key":"secret"}"#,
        );
        assert_eq!(
            found,
            [
                "row: has no field `mesage`; did you mean `message`?",
                "to: is a number; write a text or a list of texts",
                "subject: is a list; write a text",
                "ttl: is a number; write a text with a unit, as in \"90s\"",
                "priority: is not one of critical, high, normal, low",
                "headers: is a text; write an object, or a list of pairs",
                "attachments: is an object; write a list",
                "key: is given twice",
            ]
        );
    }

    /// Which of the two was meant nobody can tell (RFC 8259 section 4).
    #[test]
    fn a_name_that_is_twice_in_an_object_is_told_with_its_field() {
        for (text, field) in [
            (r#"{"headers":{"X-A":"1","X-B":"2","X-A":"1"}}"#, "headers"),
            (r#"{"headers":{"X-A":"1","X-\u0041":"2"}}"#, "headers"),
            (r#"{"attachments":[{"name":"a","content":"aGk=","name":"b"}],"message":"m"}"#, "attachments"),
        ] {
            let told = format!("{field}: an object in it has a name twice; keep one");
            assert_eq!(problems(text), [told], "{text}");
        }
        assert_eq!(problems(r#"{"headers":[["X-A","1"],["X-A","1"]]}"#), Vec::<String>::new());
        let mut cell = Builder::default();
        cell.set_text(Field::Headers, r#"{"X-A":"1","X-A":"2"}"#.into());
        assert_eq!(cell.finish().flaws.len(), 1);
    }

    #[test]
    fn what_is_not_json_is_one_problem_with_its_column() {
        for (text, said) in [
            ("hello", "row: is not JSON: expected value (column 1)"),
            ("\n secret", "row: is not JSON: expected value (line 2, column 2)"),
            ("", "row: is not JSON: EOF while parsing a value (column 0)"),
            ("\"secret\" secret", "row: is not JSON: trailing characters (column 10)"),
            ("\"secret\"", "row: is not a JSON object"),
            ("[1]", "row: is not a JSON object"),
            (r#"{"to":"a""#, "row: is not JSON: EOF while parsing an object (column 9)"),
            (r#"{"to":"a"} x"#, "row: is not JSON: trailing characters (column 12)"),
            (r#"{"to":"\ud800"}"#, "row: is not JSON: unexpected end of hex escape (column 14)"),
            (r#"{"to":1e400}"#, "row: is not JSON: number out of range (column 11)"),
        ] {
            assert_eq!(problems(text), [said], "{text}");
        }
        let deep = format!("{{\"headers\":{}", "[".repeat(100_000));
        assert!(problems(&deep)[0].contains("recursion limit exceeded"));
    }

    #[test]
    fn a_row_of_too_much_is_not_read_to_its_end() {
        for (open, each, close) in
            [("{\"headers\":[", "0,", "0]}"), ("{\"x\":[", "[],", "[]]}"), ("{", "\"x\":0,", "\"x\":0}")]
        {
            let row = |n: usize| parse(&format!("{open}{}{close}", each.repeat(n)));
            assert!(!row(Row::VALUES - 2).torn, "{open}");
            let torn = row(Row::VALUES);
            assert!(torn.torn, "{open}");
            assert_eq!(torn.flaws, [Problem::new("row", "holds more than 10000 values")]);
        }
        let flaws = |n: usize| problems(&format!("{{{}\"y\":0}}", "\"x\":0,".repeat(n))).len();
        assert_eq!((flaws(Row::FLAWS - 2), flaws(Row::FLAWS + 7)), (Row::FLAWS - 1, Row::FLAWS));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), inner in "[a-z_\":,{}\\[\\]0-9\\\\ ]{0,60}") {
            let _ = parse(&text);
            let _ = parse(&format!("{{{inner}}}"));
        }
    }
}
