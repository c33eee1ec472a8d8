//! Whether two requests ask for the same: by the SHA-256 of what their rows say, however that is written.

use sha2::{Digest, Sha256};

use super::{Field, Row, RowAttachment};
use crate::model::compared_headers;

/// Of rows in their order, and of whether it is one `alone` or a list. What a row leaves out is not filled in, and waits are
/// taken as waits: neither the time nor the configuration changes it.
///
/// It is kept in stores. What is added to rows later must leave that of a row without it as it is.
#[must_use]
pub fn sha256<'a>(alone: bool, rows: impl IntoIterator<Item = &'a Row>) -> [u8; 32] {
    let mut said = Said(Sha256::new());
    said.text(if alone { b"one" } else { b"list" });
    for row in rows {
        said.row(row);
    }
    said.0.finalize().into()
}

/// What was said so far: each text with its length before it, so that no two say the same with other borders.
struct Said(Sha256);

impl Said {
    fn text(&mut self, text: &[u8]) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn field(&mut self, field: Field, values: &[&[u8]]) {
        self.text(field.name().as_bytes());
        self.0.update((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| self.text(value));
    }

    fn row(&mut self, row: &Row) {
        let Row { channel, to, user_id, subject, message, html, priority, not_before, .. } = row;
        let Row { wait, ttl, key, headers, attachments, flaws: _, torn: _, .. } = row;
        if !to.is_empty() {
            self.field(Field::To, &to.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
        for (field, text) in [
            (Field::Channel, channel),
            (Field::UserId, user_id),
            (Field::Subject, subject),
            (Field::Message, message),
            (Field::Html, html),
            (Field::NotBefore, not_before),
            (Field::Key, key),
        ] {
            if let Some(text) = text {
                self.field(field, &[text.as_bytes()]);
            }
        }
        if let Some(priority) = priority {
            self.field(Field::Priority, &[priority.as_str().as_bytes()]);
        }
        for (field, time) in [(Field::In, wait), (Field::Ttl, ttl)] {
            if let Some(time) = time {
                self.field(field, &[&time.as_nanos().to_le_bytes()]);
            }
        }
        for (name, value) in compared_headers(headers) {
            self.field(Field::Headers, &[name.as_bytes(), value.as_bytes()]);
        }
        for one in attachments {
            match one {
                RowAttachment::Content(one) => {
                    let values = [one.name.as_bytes(), one.media_type.as_bytes(), &one.content];
                    self.field(Field::Attachments, &values);
                }
                RowAttachment::Path(path) => self.field(Field::Attachments, &[path.as_bytes()]),
            }
        }
        // No field has this name: here the row ends.
        self.text(b"");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Attachment, Priority};
    use crate::wire::row::parse;

    fn of(rows: &[&str]) -> [u8; 32] {
        let rows: Vec<Row> = rows.iter().map(|text| parse(text)).collect();
        assert!(rows.iter().all(|row| row.flaws.is_empty()), "{rows:?}");
        sha256(rows.len() == 1, &rows)
    }

    #[test]
    fn how_a_row_is_written_does_not_matter() {
        let one = of(&[r#"{"to":"a","message":"é","in":"90m","headers":{"B":"1","A":"2"}}"#]);
        for same in [
            r#" { "headers": {"A": "2", "B": "1"}, "in": "90m", "message": "\u00e9", "to": ["a"] } "#,
            r#"{"to":"a","message":"é","in":"5400s","headers":[["B","1"],["A","2"]],"subject":null}"#,
            r#"{"to":"a","message":"é","in":"90m","headers":{"b":"1","a":"2"}}"#,
            r#"{"to":"a","message":"é","in":"90m","headers":[["a","2"],["B","1"]]}"#,
        ] {
            assert_eq!(of(&[same]), one, "{same}");
        }
    }

    #[test]
    fn whatever_a_row_says_matters_and_so_does_the_order() {
        let all: &[&[&str]] = &[
            &["{}"],
            &["{}", "{}"],
            &["{}", "{}", "{}"],
            &[r#"{"channel":"a"}"#],
            &[r#"{"to":"a"}"#],
            &[r#"{"to":["a","b"]}"#],
            &[r#"{"to":["b","a"]}"#],
            &[r#"{"to":["ab"]}"#],
            &[r#"{"user_id":"a"}"#],
            &[r#"{"subject":"a"}"#],
            &[r#"{"subject":""}"#],
            &[r#"{"message":"a"}"#],
            &[r#"{"message":"a","subject":"b"}"#],
            &[r#"{"message":"b","subject":"a"}"#],
            &[r#"{"html":"a"}"#],
            &[r#"{"priority":"normal"}"#],
            &[r#"{"priority":"high"}"#],
            &[r#"{"not_before":"a"}"#],
            &[r#"{"in":"1h"}"#],
            &[r#"{"ttl":"1h"}"#],
            &[r#"{"ttl":"2h"}"#],
            &[r#"{"key":"a"}"#],
            &[r#"{"headers":{"A":"b"}}"#],
            &[r#"{"headers":{"A":"B"}}"#],
            &[r#"{"headers":{"Ab":""}}"#],
            &[r#"{"headers":[["A","b"],["A","c"]]}"#],
            &[r#"{"headers":[["A","c"],["A","b"]]}"#],
            &[r#"{"headers":[["a","b"],["A","b"]]}"#],
            &[r#"{"attachments":[{"name":"a","content":"aGk="}]}"#],
            &[r#"{"attachments":[{"name":"a","content":"aGo="}]}"#],
            &[r#"{"attachments":[{"name":"b","content":"aGk="}]}"#],
            &[r#"{"attachments":[{"name":"a","content":"aGk=","media_type":"text/plain"}]}"#],
            &[r#"{"attachments":[{"name":"a","content":"aGk="},{"name":"a","content":"aGk="}]}"#],
            &[r#"{"attachments":[{"path":"a"}]}"#],
            &[r#"{"to":"a"}"#, r#"{"message":"a"}"#],
            &[r#"{"message":"a"}"#, r#"{"to":"a"}"#],
            &["{}", r#"{"to":"a","message":"a"}"#],
            &[r#"{"to":"a","message":"a"}"#, "{}"],
        ];
        let different: HashSet<_> = all.iter().map(|rows| of(rows)).collect();
        assert_eq!(different.len(), all.len());
        let row = [parse("{}")];
        assert_ne!(sha256(true, &row), sha256(false, &row), "a list of one is a list");
    }

    /// Those of requests made before an upgrade are compared with those after it.
    #[test]
    fn it_is_the_same_in_every_version() {
        let row = r#"{"channel":"c","to":["a","b"],"user_id":"u","subject":"s","message":"m","html":"h","priority":"low",
            "not_before":"n","ttl":"2d","headers":{"H":"v"},"attachments":[{"name":"f","content":"aGk="}]}"#;
        let hex: String = of(&[row]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "f1a5cdc494e6d0ec6223f6e51c100066defb260959a8e415f5129f67c5399874");
    }

    /// One of few, so that two are often the same, or the same with another border.
    fn text() -> impl Strategy<Value = String> {
        "[aA]?"
    }

    fn row() -> impl Strategy<Value = Row> {
        let texts = prop::array::uniform7(option::of(text()));
        let times = prop::array::uniform2(option::of((0..3_u64).prop_map(Duration::from_secs)));
        let headers = prop::collection::vec((text(), text()), 0..4);
        let file = prop_oneof![
            text().prop_map(RowAttachment::Path),
            [text(), text(), text()].prop_map(|[name, media_type, content]| {
                RowAttachment::Content(Attachment { name, media_type, content: content.into_bytes() })
            }),
        ];
        let lists = (prop::collection::vec(text(), 0..3), headers, prop::collection::vec(file, 0..3));
        let priority = option::of(prop::sample::select(Priority::ALL.to_vec()));
        (texts, times, lists, priority).prop_map(
            |(texts, [wait, ttl], (to, headers, attachments), priority)| {
                let [channel, user_id, subject, message, html, not_before, key] = texts;
                let told =
                    Row { channel, user_id, subject, message, html, not_before, key, ..Row::default() };
                Row { to, wait, ttl, priority, headers, attachments, ..told }
            },
        )
    }

    /// Of two rows one that has each of its parts from either.
    fn mixed(one: &Row, other: &Row, parts: u16) -> Row {
        let mut row = one.clone();
        let other = other.clone();
        let mut take = (0..9).map(|part| parts & (1 << part) != 0);
        let mut takes = || take.next().unwrap_or_default();
        if takes() {
            (row.channel, row.user_id) = (other.channel, other.user_id);
        }
        if takes() {
            (row.subject, row.message) = (other.subject, other.message);
        }
        if takes() {
            (row.html, row.not_before) = (other.html, other.not_before);
        }
        if takes() {
            row.key = other.key;
        }
        if takes() {
            (row.wait, row.ttl, row.priority) = (other.wait, other.ttl, other.priority);
        }
        if takes() {
            row.to = other.to;
        }
        if takes() {
            row.headers = other.headers;
        }
        if takes() {
            row.attachments = other.attachments;
        }
        if takes() {
            row.headers.reverse();
            row.headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        }
        row
    }

    /// As what is compared: headers by their names in one case and without the order of the names.
    fn compared(row: &Row) -> Row {
        let own = |(name, value): (String, &str)| (name, value.to_owned());
        Row { headers: compared_headers(&row.headers).into_iter().map(own).collect(), ..row.clone() }
    }

    /// None of them, one, or any.
    fn parts() -> impl Strategy<Value = u16> {
        prop_oneof![Just(0), (0..9_u32).prop_map(|part| 1 << part), 0..1_u16 << 9]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn two_are_the_same_when_all_that_they_say_is(
            rows in prop::collection::vec((row(), row(), parts()), 1..3),
            shorter in any::<bool>(),
        ) {
            let (one, mut other): (Vec<_>, Vec<_>) = rows
                .iter()
                .map(|(one, other, parts)| (one.clone(), mixed(one, other, *parts)))
                .unzip();
            if shorter {
                other.pop();
            }
            let same = one.iter().map(compared).eq(other.iter().map(compared));
            prop_assert_eq!(sha256(false, &one) == sha256(false, &other), same);
        }
    }
}
