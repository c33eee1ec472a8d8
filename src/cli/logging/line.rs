//! One record as one line, whatever it holds: for people, for the journal, for programs.

use std::fmt::Write as _;
use std::io::{self, Write};

use env_logger::fmt::style::Style;
use log::kv::{self, Key, Value, VisitSource};
use log::{Level, Record};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::cli::face::is_unfit;

/// `2026-11-20T02:00:00.000Z WARN delivery attempt id=7 channel=relay`
pub(super) fn text(out: &mut dyn Write, record: &Record<'_>, at: &str, style: Style) -> io::Result<()> {
    write!(out, "{at} {style}{}{style:#} ", record.level())?;
    writeln!(out, "{}", plain(record))
}

/// The same without the time, which the journal knows, and with the priority that it reads (sd-daemon(3)).
pub(super) fn journal(out: &mut dyn Write, record: &Record<'_>) -> io::Result<()> {
    writeln!(out, "<{}>{}", priority(record.level()), plain(record))
}

/// One object: `at`, `level`, `target`, `message`, and the record's own keys beside them.
pub(super) fn json(out: &mut dyn Write, record: &Record<'_>, at: &str, journal: bool) -> io::Result<()> {
    if journal {
        write!(out, "<{}>", priority(record.level()))?;
    }
    let line = serde_json::to_string(&Line { record, at })?;
    writeln!(out, "{line}")
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// The target without our own name in front.
fn target<'a>(record: &Record<'a>) -> &'a str {
    record.target().strip_prefix("notifyctl::").unwrap_or(record.target())
}

fn plain(record: &Record<'_>) -> String {
    let mut line = format!("{} ", target(record));
    for c in record.args().to_string().chars() {
        push(&mut line, c);
    }
    // A visit that fails ends with the keys that it got to.
    let _ = record.key_values().visit(&mut Pairs(&mut line));
    line
}

/// One character; one that could end the line, move a terminal's cursor or turn the line around is written as an escape.
fn push(line: &mut String, c: char) {
    if c == '\n' || is_unfit(c) {
        line.extend(c.escape_default());
    } else {
        line.push(c);
    }
}

/// Appends ` key=value`; a value that is not one plain word is quoted.
struct Pairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = value.to_string();
        let is_word =
            !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || "\"=\\".contains(c));
        write!(self.0, " {key}=")?;
        if !is_word {
            self.0.push('"');
        }
        for c in value.chars() {
            if !is_word && matches!(c, '"' | '\\') {
                self.0.push('\\');
            }
            push(self.0, c);
        }
        if !is_word {
            self.0.push('"');
        }
        Ok(())
    }
}

struct Line<'a> {
    record: &'a Record<'a>,
    at: &'a str,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", self.at)?;
        map.serialize_entry("level", &self.record.level().as_str().to_ascii_lowercase())?;
        map.serialize_entry("target", target(self.record))?;
        map.serialize_entry("message", &self.record.args().to_string())?;
        let mut entries = Entries { map, error: None };
        let _ = self.record.key_values().visit(&mut entries);
        match entries.error {
            Some(error) => Err(error),
            None => entries.map.end(),
        }
    }
}

/// Adds the record's own keys to an object.
struct Entries<M: SerializeMap> {
    map: M,
    error: Option<M::Error>,
}

impl<'kvs, M: SerializeMap> VisitSource<'kvs> for Entries<M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let map = &mut self.map;
        let key = key.as_str();
        let added = if let Some(number) = value.to_i64() {
            map.serialize_entry(key, &number)
        } else if let Some(number) = value.to_u64() {
            map.serialize_entry(key, &number)
        } else if let Some(number) = value.to_f64() {
            map.serialize_entry(key, &number)
        } else if let Some(truth) = value.to_bool() {
            map.serialize_entry(key, &truth)
        } else {
            map.serialize_entry(key, &value.to_string())
        };
        added.map_err(|error| {
            self.error = Some(error);
            kv::Error::msg("not written")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "550 no\r\n2026 ERROR forged \u{1b}[2J\u{2028}\u{202e}\"x\" \\";

    fn written(form: impl Fn(&mut dyn Write, &Record<'_>) -> io::Result<()>) -> String {
        let pairs = [
            ("id", Value::from(7_i64)),
            ("channel", Value::from("relay")),
            ("took", Value::from(1.5)),
            ("final", Value::from(true)),
            ("detail", Value::from(EVIL)),
            ("none", Value::from("")),
        ];
        let mut bytes = Vec::new();
        let record = Record::builder()
            .level(Level::Warn)
            .target("notifyctl::delivery")
            .args(format_args!("attempt\nforged"))
            .key_values(&pairs)
            .build();
        form(&mut bytes, &record).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_for_people_is_one_line_whatever_it_holds() {
        let line = written(|out, record| text(out, record, "2026-11-20T02:00:00.000Z", Style::new()));
        assert_eq!(
            line,
            "2026-11-20T02:00:00.000Z WARN delivery attempt\\nforged id=7 channel=relay took=1.5 final=true \
             detail=\"550 no\\r\\n2026 ERROR forged \\u{1b}[2J\\u{2028}\\u{202e}\\\"x\\\" \\\\\" none=\"\"\n"
        );
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        let line = written(|out, record| journal(out, record));
        assert!(line.starts_with("<4>delivery attempt\\nforged id=7"), "{line}");
        let line = written(|out, record| json(out, record, "now", true));
        assert!(line.starts_with("<4>{\"at\":\"now\""), "{line}");
    }

    #[test]
    fn a_line_for_programs_reads_back_as_what_was_logged() {
        let line = written(|out, record| json(out, record, "2026-11-20T02:00:00.000Z", false));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with(r#"{"at":"2026-11-20T02:00:00.000Z","level":"warn","target":"delivery","#));
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = serde_json::json!({
            "at": "2026-11-20T02:00:00.000Z", "level": "warn", "target": "delivery",
            "message": "attempt\nforged", "id": 7, "channel": "relay", "took": 1.5, "final": true,
            "detail": EVIL, "none": "",
        });
        assert_eq!(object, expected);
    }
}
