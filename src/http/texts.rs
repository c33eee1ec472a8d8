//! The texts that may be asked with, for the OpenAPI document: as far as a pattern can say what is taken.
//!
//! Every text that a pattern matches is taken, unless the clock or the calendar forbids it (a time that is not over yet, a
//! sum beyond a hundred years). What is taken beyond that is spelt differently: capitals, more blanks, units that nobody writes.
//! Patterns are of the kind that ECMA 262, Python and Rust read alike.

use std::borrow::Cow;
use std::sync::LazyLock;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::model::Limits;

/// Units with how many digits and decimals the number before each may have, so that three together stay within a hundred
/// years, and each is a whole number of milliseconds.
const UNITS: [(u8, u8, &str); 7] = [
    (12, 0, "ms"),
    (9, 3, "s|secs?|seconds?"),
    (7, 3, "m|mins?|minutes?"),
    (5, 2, "h|hrs?|hours?"),
    (4, 2, "d|days?"),
    (3, 2, "w|wks?|weeks?"),
    (1, 2, "y|yrs?|years?"),
];

/// A number with its unit, which is nought or is not.
fn amount(is_nonzero: bool) -> String {
    let amount = |(digits, decimals, unit): (u8, u8, &str)| {
        let least = u8::from(is_nonzero);
        let first = if is_nonzero { "[1-9]" } else { "" };
        let fraction = if decimals > 0 { format!("(\\.[0-9]{{1,{decimals}}})?") } else { String::new() };
        let whole = format!("{first}[0-9]{{{},{}}}{fraction}", 1 - least, digits - least);
        match (is_nonzero, decimals) {
            (true, 1..) => format!("({whole}|0\\.[0-9]{{0,{}}}[1-9]) ?({unit})", decimals - 1),
            _ => format!("{whole} ?({unit})"),
        }
    };
    format!("({})", UNITS.map(amount).join("|"))
}

/// `30s`, `2h 30m`, `1.5d`.
fn duration() -> String {
    let amount = amount(false);
    format!("{amount}( ?{amount}){{0,2}}")
}

/// The same, but not nothing.
fn time_to_live() -> String {
    format!("{}( ?{}){{0,2}}", amount(true), amount(false))
}

const CLOCK: &str = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?";
const WEEKDAY: &str = "(mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)";

/// A day of the calendar; of the leap days all but those of years that end a century.
const DATE: &str = "([0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)\
                    |[0-9]{2}(0[48]|[2468][048]|[13579][26])-02-29)";

/// RFC 3339.
fn instant() -> String {
    let clock = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
    format!("{DATE}[Tt]{clock}(\\.[0-9]{{1,9}})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])")
}

/// Characters that no line may hold, and the blanks beside them that are no content.
const UNFIT: &str = r"\u0000-\u001f\u007f-\u009f\u2028\u2029";
const BLANK: &str = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000";

/// A word of letters, however they are written.
fn any_case(word: &str) -> String {
    let letter = |c: char| match c.is_ascii_alphabetic() {
        true => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
        false => c.to_string(),
    };
    word.chars().map(letter).collect()
}

/// A text of the document: its name there, what it is, how it looks, and examples.
macro_rules! texts {
    ($($(#[doc = $about:literal])+ $name:ident: $max:expr, $pattern:expr, [$($example:literal),*];)+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy)]
        pub(super) enum $name {}

        impl $name {
            /// What it looks like, from its beginning to its end.
            fn pattern() -> &'static str {
                static PATTERN: LazyLock<String> = LazyLock::new(|| format!("^({})$", $pattern));
                &PATTERN
            }

            /// It, to stand within another one.
            pub(super) fn object() -> Object {
                let about = [$($about.trim()),+].join(" ");
                let examples: Vec<&str> = vec![$($example),*];
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(about))
                    .max_length($max)
                    .pattern(Some(Self::pattern()))
                    .examples(examples)
                    .build()
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                Self::object().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

texts! {
    /// A duration: up to three numbers with their units, a hundred years at most.
    Duration: None, duration(), ["30s", "5m", "2h 30m", "1.5d", "250ms", "0s"];

    /// A duration that is not nothing.
    TimeToLive: None, time_to_live(), ["90s", "2d", "0.5h", "1w 2d"];

    /// A duration of 60 seconds at most.
    Wait: None,
        "([0-5]?[0-9]{1,4}|60000) ?ms|([0-5]?[0-9](\\.[0-9]{1,3})?|60) ?(s|secs?|seconds?)\
         |(0(\\.[0-9]{1,3})?|1) ?(m|mins?|minutes?)",
        ["10s", "500ms", "1m", "0s"];

    /// A time that is over: a duration ago, or the last time of that name (the clock is the server's unless it names a zone).
    Past: None, format!("{}|now|{CLOCK}|({WEEKDAY}|{DATE})( {CLOCK})?|{}", duration(), instant()),
        ["2h", "30d", "now", "18:00", "mon", "mon 09:00", "2020-11-20", "2020-11-20 18:00:30", "2020-11-20T18:00:00.5+01:00"];

    /// A time that is not over, or by a minute at most (the clock is the server's unless it names a zone).
    Moment: None, format!("now|[+]{}|{CLOCK}|(tomorrow|{WEEKDAY}|{DATE}) {CLOCK}|{}", duration(), instant()),
        ["now", "+2h", "18:00", "tomorrow 09:00", "friday 09:00", "2999-12-24 18:00", "2999-12-24T18:00:00Z"];

    /// One line, of 998 bytes of UTF-8 at most.
    Line: Some(Limits::LINE), format!("[^{UNFIT}]*"), ["Backup done", "Ausgabe 1 · Grüße"];

    /// A recipient as the channel understands it: one line, of 998 bytes of UTF-8 at most.
    Recipient: Some(Limits::LINE), format!("[^{UNFIT}]*[^{UNFIT}{BLANK}][^{UNFIT}]*"), ["ops@example.org"];

    /// A duplicate guard: one line, of 998 bytes of UTF-8 at most.
    Key: Some(Limits::LINE), format!("[^{UNFIT}]+"), ["backup 2026-11-20"];

    /// A duplicate guard of visible ASCII, in quotes or without.
    HeaderKey: Some(Limits::LINE - 10), "\"[ -~]{1,986}\"|[!#-~]([ -~]{0,986}[!-~])?", ["8e03978e-40d5-43dd-bc93-6894a57f9324"];

    /// A text, of 1 MiB of UTF-8 at most unless configured otherwise.
    Text: None, r"[^\u0000]*", ["All is well."];

    /// The name of a header that notifyctl does not write itself.
    HeaderName: Some(60), {
        let others: Vec<_> = Limits::HEADER_NAMES.iter().map(|name| any_case(name)).collect();
        let own = |prefix: &str, left: usize| format!("{}[A-Za-z0-9-]{{0,{left}}}", any_case(prefix));
        format!("{}|{}|{}", own("x-", 58), own("list-", 55), others.join("|"))
    }, ["X-Backup-Host", "Reply-To"];

    /// A file's own name: one line without a slash, of 998 bytes of UTF-8 at most.
    FileName: Some(Limits::LINE), format!("[^{UNFIT}/]+"), ["report.pdf"];

    /// A media type, with parameters or without.
    MediaType: Some(Limits::LINE), {
        let token = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+";
        format!("{token}/{token}(; ?{token}={token})*")
    }, ["application/pdf", "text/plain; charset=utf-8"];

    /// Bytes in base64 (RFC 4648 section 4), padded or not.
    Base64: None,
        "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw](==)?|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=?)?",
        ["aGVsbG8="];

    /// Where to go on: the `cursor` of an event, or what a page says is next.
    EventCursor: None, "[0-9]{1,18}-[0-9]{1,18}", ["1042-3391", "0-0"];

    /// Where the next page begins: what the page before says.
    PageCursor: None, "[1-9][0-9]{0,17}", ["1042"];
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use chrono::Utc;
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;
    use crate::http::settling;
    use crate::model::{Cursor, Timestamp};
    use crate::units::{self, AtError};
    use crate::wire::row::{self, media_type};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// Texts of a pattern; the generator knows no anchors.
    fn like(pattern: &str) -> impl Strategy<Value = String> + use<> {
        let bare = pattern.trim_start_matches('^').trim_end_matches('$');
        string_regex(bare).expect("a pattern")
    }

    fn matches(pattern: &str, text: &str) -> bool {
        regex::Regex::new(pattern).expect("a pattern").is_match(text)
    }

    fn is_past(text: &str) -> bool {
        match units::past(text, NOW, &Utc) {
            Ok(_) => true,
            Err(what) => what.ends_with("is in the future"),
        }
    }

    fn is_moment(text: &str) -> bool {
        matches!(units::at(text, NOW, &Utc), Ok(_) | Err(AtError::Past { .. }))
    }

    /// What is wrong with a row of one field beside its message.
    fn flaws(field: &str, value: &serde_json::Value) -> Vec<String> {
        let mut row = serde_json::json!({"message": "m"});
        row[field] = value.clone();
        let row = row::parse(&row.to_string());
        row.flaws.iter().map(ToString::to_string).collect()
    }

    proptest! {
        #[test]
        fn what_looks_like_a_duration_is_one(text in like(Duration::pattern()), ttl in like(TimeToLive::pattern())) {
            prop_assert!(units::duration(&text).is_ok(), "{}", text);
            prop_assert!(units::duration(&ttl).is_ok_and(|ttl| !ttl.is_zero()), "{}", ttl);
        }

        #[test]
        fn what_looks_like_a_wait_is_one(text in like(Wait::pattern())) {
            prop_assert!(settling::time(&text).is_ok(), "{}", text);
        }

        #[test]
        fn what_looks_like_a_time_is_one(past in like(Past::pattern()), moment in like(Moment::pattern())) {
            prop_assert!(is_past(&past), "{}", past);
            prop_assert!(is_moment(&moment), "{}", moment);
        }

        #[test]
        fn what_looks_like_a_cursor_is_one(event in like(EventCursor::pattern()), page in like(PageCursor::pattern())) {
            prop_assert!(Cursor::from_str(&event).is_ok(), "{}", event);
            prop_assert!(page.parse::<i64>().is_ok_and(|id| id > 0), "{}", page);
        }

        #[test]
        fn what_looks_like_a_file_is_one(media in like(MediaType::pattern()), content in like(Base64::pattern())) {
            let file = serde_json::json!([{"name": "x", "media_type": media, "content": content}]);
            prop_assert_eq!(flaws("attachments", &file), Vec::<String>::new(), "{} {}", media, content);
        }
    }

    #[test]
    fn what_people_write_looks_like_it() {
        let matches =
            |pattern: &str, text: &str| regex::Regex::new(pattern).expect("a pattern").is_match(text);
        for text in ["30s", "5 min", "2h 30m", "2h30m", "1.5d", "90 seconds", "1h 30m 15s"] {
            assert!(matches(Duration::pattern(), text) && matches(Past::pattern(), text), "{text}");
        }
        for text in ["", "30", "s", "-5m", "5M", "5 parsecs", "1.5ms", "0.001h"] {
            assert!(!matches(Duration::pattern(), text), "{text}");
        }
        for (text, is_one) in
            [("60s", true), ("61s", false), ("1m", true), ("2m", false), ("60000ms", true), ("60.5s", false)]
        {
            assert_eq!(
                (matches(Wait::pattern(), text), settling::time(text).is_ok()),
                (is_one, is_one),
                "{text}"
            );
        }
        for (text, is_one) in [("0s", false), ("0.0h", false), ("0.5h", true), ("00s", false), ("1s", true)] {
            assert_eq!(matches(TimeToLive::pattern(), text), is_one, "{text}");
        }
        for (text, is_one) in [
            ("2024-02-29", true),
            ("2023-02-29", false),
            ("2023-04-31", false),
            ("2023-12-31 24:00", false),
            ("tue", true),
            ("tuesday 09:00", true),
            ("2026-11-20T18:00:00Z", true),
            ("2026-11-20T18:00:00", false),
            ("2026-13-20T18:00:00Z", false),
        ] {
            assert_eq!((matches(Past::pattern(), text), is_past(text)), (is_one, is_one), "{text}");
        }
        for (name, is_one) in [
            ("X-A", true),
            ("x-", true),
            ("List-Unsubscribe", true),
            ("REPLY-TO", true),
            ("To", false),
            ("Reply-To-X", false),
            ("X A", false),
            (&format!("X-{}", "a".repeat(59)), false),
        ] {
            assert_eq!(matches(HeaderName::pattern(), name), is_one, "{name}");
        }
        assert!(matches(MediaType::pattern(), media_type("a.pdf")) && !matches(MediaType::pattern(), "pdf"));
    }
    #[test]
    fn every_example_is_one() {
        let document = serde_json::from_str(&crate::http::document().expect("a document")).expect("JSON");
        let mut looked_at = 0;
        examples(&document, &mut |pattern, example| {
            looked_at += 1;
            assert!(matches(pattern, example), "{example} is not like {pattern}");
        });
        assert!(looked_at > 40, "{looked_at}");
    }

    /// Every example of a text with a pattern.
    fn examples(value: &serde_json::Value, look: &mut impl FnMut(&str, &str)) {
        if let (Some(pattern), Some(all)) = (value["pattern"].as_str(), value["examples"].as_array()) {
            all.iter().for_each(|example| look(pattern, example.as_str().expect("a text")));
        }
        let fields = value.as_object().into_iter().flat_map(serde_json::Map::values);
        fields.chain(value.as_array().into_iter().flatten()).for_each(|inner| examples(inner, look));
    }
}
