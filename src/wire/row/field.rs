//! The names of a row's fields.

use crate::model::Problem;
use crate::wire::nearest;

/// A field of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `channel`.
    Channel,
    /// `to`.
    To,
    /// `user_id`.
    UserId,
    /// `subject`.
    Subject,
    /// `message`.
    Message,
    /// `html`.
    Html,
    /// `priority`.
    Priority,
    /// `not_before`.
    NotBefore,
    /// `in`.
    In,
    /// `ttl`.
    Ttl,
    /// `key`.
    Key,
    /// `headers`.
    Headers,
    /// `attachments`.
    Attachments,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 13] = [
        Self::Channel,
        Self::To,
        Self::UserId,
        Self::Subject,
        Self::Message,
        Self::Html,
        Self::Priority,
        Self::NotBefore,
        Self::In,
        Self::Ttl,
        Self::Key,
        Self::Headers,
        Self::Attachments,
    ];

    /// Its name in NDJSON, CSV and HTTP.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::To => "to",
            Self::UserId => "user_id",
            Self::Subject => "subject",
            Self::Message => "message",
            Self::Html => "html",
            Self::Priority => "priority",
            Self::NotBefore => "not_before",
            Self::In => "in",
            Self::Ttl => "ttl",
            Self::Key => "key",
            Self::Headers => "headers",
            Self::Attachments => "attachments",
        }
    }

    /// The field of that name.
    ///
    /// # Errors
    /// When there is none; says which was probably meant.
    pub fn of(name: &str) -> Result<Self, Problem> {
        match Self::ALL.into_iter().find(|field| field.name() == name) {
            Some(field) => Ok(field),
            None => Err(unknown(name)),
        }
    }

    /// Whether it is the name of a field, or may have been meant to be one.
    #[must_use]
    pub fn is_near(name: &str) -> bool {
        nearest(name, Self::ALL.map(Self::name)).is_some()
    }
}

fn unknown(name: &str) -> Problem {
    let names = Field::ALL.map(Field::name);
    let meant = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    };
    // What stands where a name should be may be anything: only the beginning is repeated.
    let name: String = name.chars().take(40).collect();
    Problem::new("row", format!("has no field `{}`; {meant}", name.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_reads_back_from_its_own_name() {
        for field in Field::ALL {
            assert_eq!(Field::of(field.name()), Ok(field));
        }
    }

    #[test]
    fn an_unknown_field_is_answered_with_the_nearest_or_with_all() {
        let said = |name| Field::of(name).unwrap_err().to_string();
        assert_eq!(said("mesage"), "row: has no field `mesage`; did you mean `message`?");
        assert!(said("wibble").contains("there are channel, to, user_id"), "{}", said("wibble"));
        assert!(said(&"x\n".repeat(1_000)).len() < 300);
    }
}
