//! Sizes in bytes with units: `10MiB`, `500kB`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// The units, the largest first; powers of 1024 and of 1000.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a size: a whole number and its unit, upper and lower case alike.
///
/// # Errors
/// A number without a unit is refused: nobody knows what was meant.
pub fn size(text: &str) -> Result<usize, SizeError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let not_one = || SizeError::NotOne(text.to_owned());
    if number.is_empty() {
        return Err(not_one());
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(SizeError::NoUnit(text.to_owned()));
    }
    let (_, factor) =
        UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(not_one)?;
    let number: u64 = number.parse().map_err(|_| SizeError::TooLarge(text.to_owned()))?;
    number
        .checked_mul(factor)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| SizeError::TooLarge(text.to_owned()))
}

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A number alone.
    #[error("`{0}` has no unit; write `{0}B` for bytes or `{0}KiB`")]
    NoUnit(String),
    /// Something else.
    #[error("`{0}` is not a size like `64KiB` or `10MiB`")]
    NotOne(String),
    /// More than this machine can count.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// A size in a configuration, in bytes: a string with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        size(text).map(Self)
    }
}

impl fmt::Display for Size {
    /// In the largest unit that reads back as the same size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as u64;
        let (unit, factor) = UNITS
            .into_iter()
            .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
            .unwrap_or(("B", 1));
        write!(f, "{}{unit}", bytes / factor)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size like \"10MiB\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Size, E> {
        Err(E::custom(format_args!("{number} has no unit; write \"{number}B\" for bytes or \"{number}KiB\"")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in
            [("0B", 0), ("10MiB", 10 << 20), ("64 kib", 65_536), ("2kB", 2_000), ("1GB", 1_000_000_000)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_answered_with_what_would_be() {
        for (text, expected) in [
            ("1000", "`1000` has no unit; write `1000B` for bytes or `1000KiB`"),
            ("", "`` is not a size like `64KiB` or `10MiB`"),
            ("-1B", "`-1B` is not a size like `64KiB` or `10MiB`"),
            ("1.5MiB", "`1.5MiB` is not a size like `64KiB` or `10MiB`"),
            ("1M", "`1M` is not a size like `64KiB` or `10MiB`"),
            ("99999999999999999999B", "`99999999999999999999B` is too large"),
            ("99999999999GiB", "`99999999999GiB` is too large"),
        ] {
            assert_eq!(size(text).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same(bytes in 0usize..1 << 50) {
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = size(&text);
        }
    }
}
