//! Durations with units: `30s`, `2h 30m`, `1.5d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// The longest duration that is taken: a hundred years. More is a slip, and would not fit a time of the store.
const LONGEST: Duration = Duration::from_secs(100 * 31_557_600);

/// Reads a duration: whole or decimal numbers, each with its unit (`ms`, `s`, `m`, `h`, `d`, `w`, and the
/// longer words of the humantime crate), down to a millisecond and up to a hundred years.
///
/// # Errors
/// A number without a unit is refused: nobody knows whether seconds or minutes were meant.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DurationError::NoUnit(text.to_owned()));
    }
    // humantime takes `M` for months; whoever writes `5M` means minutes.
    if text.contains('M') {
        return Err(DurationError::NotOne(text.to_owned()));
    }
    let duration = humantime::parse_duration(text).map_err(|_| DurationError::NotOne(text.to_owned()))?;
    if duration > LONGEST {
        return Err(DurationError::TooLong(text.to_owned()));
    }
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(DurationError::TooFine(text.to_owned()));
    }
    Ok(duration)
}

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number alone.
    #[error("`{0}` has no unit; write `{0}s` for seconds or `{0}m` for minutes")]
    NoUnit(String),
    /// Something else.
    #[error("`{0}` is not a duration like `30s`, `5m` or `2h 30m`")]
    NotOne(String),
    /// More than a hundred years.
    #[error("`{0}` is longer than a hundred years")]
    TooLong(String),
    /// Parts of a millisecond.
    #[error("`{0}` is finer than a millisecond")]
    TooFine(String),
}

/// A duration in a configuration: a string with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        duration(text).map(Self)
    }
}

impl fmt::Display for Period {
    /// In the shortest words that read back as the same duration: `1h30m`, `5d`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let mut left = millis;
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if left >= length {
                write!(f, "{}{unit}", left / length)?;
                left %= length;
            }
        }
        if millis == 0 { f.write_str("0s") } else { Ok(()) }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration like \"30s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Period, E> {
        Err(E::custom(format_args!(
            "{number} has no unit; write \"{number}s\" for seconds or \"{number}m\" for minutes"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5 min", 300_000),
            ("2h 30m", 9_000_000),
            ("1.5h", 5_400_000),
            ("1d", 86_400_000),
            ("2w", 1_209_600_000),
            (" 0s ", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_answered_with_what_would_be() {
        for (text, expected) in [
            ("30", "`30` has no unit; write `30s` for seconds or `30m` for minutes"),
            ("", "`` is not a duration like `30s`, `5m` or `2h 30m`"),
            ("-5m", "`-5m` is not a duration like `30s`, `5m` or `2h 30m`"),
            ("5M", "`5M` is not a duration like `30s`, `5m` or `2h 30m`"),
            ("5 parsecs", "`5 parsecs` is not a duration like `30s`, `5m` or `2h 30m`"),
            ("101y", "`101y` is longer than a hundred years"),
            (
                "99999999999999999999s",
                "`99999999999999999999s` is not a duration like `30s`, `5m` or `2h 30m`",
            ),
            ("1500us", "`1500us` is finer than a millisecond"),
        ] {
            assert_eq!(duration(text).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same(millis in 0u64..3_155_760_000_000) {
            let period = Period(Duration::from_millis(millis));
            prop_assert_eq!(period.to_string().parse::<Period>(), Ok(period));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = duration(&text);
        }
    }
}
