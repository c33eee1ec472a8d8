//! What a daemon does.

use std::fmt;
use std::str::FromStr;

/// A part of what a daemon does; each can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Accepts notifications over HTTP, and answers what became of them.
    Http,
    /// Delivers what is due.
    Sender,
    /// Removes what its retention has run out for.
    Maintenance,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Http, Self::Sender, Self::Maintenance];

    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sender => "sender",
            Self::Maintenance => "maintenance",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a role (one of {words})"))
    }
}
