//! A JSON value that is read within a bound: a few bytes of text may become many more in memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What is read within a bound, and what was found on the way.
pub(super) struct Bounds {
    /// How many more values may be read; `None` once there were too many.
    pub(super) left: Option<usize>,
    /// Whether an object had a name twice: which of the two is meant nobody can tell (RFC 8259 section 4).
    pub(super) twice: bool,
}

impl Bounds {
    pub(super) fn new(most: usize) -> Self {
        Self { left: Some(most), twice: false }
    }
}

/// Reads one value, as long as there are not more values in it than are left.
pub(super) struct Bounded<'a>(pub(super) &'a mut Bounds);

impl Bounded<'_> {
    /// Takes one.
    fn one<E: Error>(&mut self) -> Result<Bounded<'_>, E> {
        self.0.left = self.0.left.and_then(|left| left.checked_sub(1));
        match self.0.left {
            Some(_) => Ok(Bounded(&mut *self.0)),
            None => Err(E::custom("too many values")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self.one()?)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = values.next_element_seed(Bounded(&mut *self.0))? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = entries.next_key()? {
            let known = all.insert(name, entries.next_value_seed(Bounded(&mut *self.0))?);
            self.0.twice |= known.is_some();
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, most: usize) -> Option<Value> {
        let mut bounds = Bounds::new(most);
        let value = Bounded(&mut bounds).deserialize(&mut serde_json::Deserializer::from_str(text));
        assert_eq!(value.is_err(), bounds.left.is_none(), "{text}");
        value.ok()
    }

    #[test]
    fn each_value_counts_however_deep_it_is() {
        for (text, values) in
            [("7", 1), ("[]", 1), ("[1,2]", 3), (r#"{"a":[1,{"b":"c"}],"d":null}"#, 6), ("[[[[1]]]]", 5)]
        {
            assert_eq!(read(text, values), serde_json::from_str(text).ok(), "{text}");
            assert_eq!(read(text, values - 1), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn within_the_bound_it_is_what_serde_reads(text in r#"[\[\]{}:,"ab0-9. \\nultre-]{1,30}"#) {
            let mut bounds = Bounds::new(100);
            let mut reader = serde_json::Deserializer::from_str(&text);
            let value = Bounded(&mut bounds).deserialize(&mut reader);
            let value = value.and_then(|value| reader.end().map(|()| value));
            prop_assert_eq!(value.ok(), serde_json::from_str::<Value>(&text).ok());
        }
    }
}
