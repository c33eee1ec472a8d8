//! How the shapes write their parts: instants as RFC 3339, nouns as their words.

use std::fmt::Display;

use serde::Serializer;

use super::rfc3339;
use crate::model::Timestamp;

/// An instant.
pub fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

/// An instant, or null.
pub fn option_time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// A noun of the model, as its word.
pub fn word<T: Display, S: Serializer>(noun: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(noun)
}

/// A noun of the model as its word, or null.
pub fn option_word<T: Display, S: Serializer>(noun: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match noun {
        Some(noun) => word(noun, serializer),
        None => serializer.serialize_none(),
    }
}
