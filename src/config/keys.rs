//! The keys that a table may hold, asked of serde itself, and what an unknown one may have meant.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

use crate::wire;

/// The names of the fields of `T`, as `#[derive(Deserialize)]` knows them.
pub fn of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &[&str] = &[];
    // Always an error: it carries nothing, the probe has seen what it came for.
    let _ = T::deserialize(Probe(&mut fields));
    fields
}

/// A deserializer that holds nothing and only listens to which fields are asked for.
struct Probe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Nothing;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Nothing> {
        Err(Nothing)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Nothing> {
        *self.0 = fields;
        Err(Nothing)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[derive(Debug)]
struct Nothing;

impl fmt::Display for Nothing {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Nothing {}

impl Error for Nothing {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// `did you mean …?`, or else every name there is.
pub fn suggestion<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<_> = known.into_iter().collect();
    known.sort_unstable();
    match wire::nearest(unknown, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("one of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw;

    #[test]
    fn serde_tells_which_keys_there_are() {
        assert_eq!(of::<raw::Store>(), ["url", "busy_timeout"]);
        assert_eq!(of::<raw::File>(), ["path", "format", "from"]);
    }

    #[test]
    fn a_slip_is_answered_with_the_nearest_key_and_nonsense_with_all() {
        for (slip, meant) in [
            ("ur", "url"),
            ("ulr", "url"),
            ("URL", "url"),
            ("busytimeout", "busy_timeout"),
            ("bussy_timout", "busy_timeout"),
        ] {
            assert_eq!(suggestion(slip, ["url", "busy_timeout"]), format!("did you mean `{meant}`?"));
        }
        assert_eq!(suggestion("xyz", ["url", "busy_timeout"]), "one of busy_timeout, url");
    }
}
