//! A JSON value that is read within a bound: a few bytes of text may become many more in memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads one value, as long as there are not more values in it than are left.
pub(super) struct Bounded<'a> {
    /// How many more may be read; `None` once there were too many.
    pub(super) left: &'a mut Option<usize>,
}

impl Bounded<'_> {
    /// Takes one.
    fn one<E: Error>(&mut self) -> Result<Bounded<'_>, E> {
        *self.left = self.left.and_then(|left| left.checked_sub(1));
        match *self.left {
            Some(_) => Ok(Bounded { left: &mut *self.left }),
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
        while let Some(value) = values.next_element_seed(Bounded { left: &mut *self.left })? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = entries.next_key()? {
            all.insert(name, entries.next_value_seed(Bounded { left: &mut *self.left })?);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, most: usize) -> Option<Value> {
        let mut left = Some(most);
        let value = Bounded { left: &mut left }.deserialize(&mut serde_json::Deserializer::from_str(text));
        assert_eq!(value.is_err(), left.is_none(), "{text}");
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
            let mut left = Some(100);
            let mut reader = serde_json::Deserializer::from_str(&text);
            let value = Bounded { left: &mut left }.deserialize(&mut reader);
            let value = value.and_then(|value| reader.end().map(|()| value));
            prop_assert_eq!(value.ok(), serde_json::from_str::<Value>(&text).ok());
        }
    }
}
