//! What a token allows, and until when it is good.

use std::fmt;
use std::str::FromStr;

use super::time::Timestamp;

/// One thing that a caller may be allowed to do. None includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// To enqueue notifications, and to wait for them.
    Enqueue,
    /// To look at statuses, counts, lists and events; personal data is masked.
    Read,
    /// To cancel, hold, release and requeue.
    Admin,
    /// To see personal data unmasked in whatever may be looked at.
    Personal,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Enqueue, Self::Read, Self::Admin, Self::Personal];

    /// The word used in options, JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Read => "read",
            Self::Admin => "admin",
            Self::Personal => "personal",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let meant = text.trim();
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == meant)
            .ok_or_else(|| UnknownScope(meant.to_owned()))
    }
}

/// A word that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope (one of enqueue, read, admin, personal)")]
pub struct UnknownScope(pub String);

/// A set of scopes. Written and read as their words with commas between: `enqueue,read`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Nothing is allowed.
    pub const NONE: Self = Self(0);

    /// Every scope there is.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether `scope` is among them.
    #[must_use]
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Those of them, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.allow(*scope))
    }
}

fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |all, scope| all | bit(scope)))
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(str::parse).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.pad(&words.join(","))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Whether a token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Good,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl Standing {
    /// How a token stands at `now`. One that was revoked is that for ever.
    #[must_use]
    pub fn of(expires_at: Option<Timestamp>, revoked_at: Option<Timestamp>, now: Timestamp) -> Self {
        match (revoked_at, expires_at) {
            (Some(_), _) => Self::Revoked,
            (None, Some(at)) if at <= now => Self::Expired,
            _ => Self::Good,
        }
    }

    /// The word used in JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_scopes_reads_back() {
        for bits in 1..16u8 {
            let scopes: Scopes = Scope::ALL.into_iter().filter(|scope| bits & bit(*scope) != 0).collect();
            assert_eq!(scopes.to_string().parse(), Ok(scopes));
        }
        assert_eq!(
            " read , enqueue,read".parse::<Scopes>(),
            Ok([Scope::Enqueue, Scope::Read].into_iter().collect())
        );
        for (text, wrong) in [("reed", "reed"), ("", ""), ("read,", ""), ("read;admin", "read;admin")] {
            assert_eq!(text.parse::<Scopes>(), Err(UnknownScope(wrong.into())));
        }
        assert!(Scopes::NONE.is_empty() && !Scopes::all().is_empty());
    }

    #[test]
    fn no_scope_includes_another() {
        for one in Scope::ALL {
            let alone: Scopes = [one].into_iter().collect();
            assert_eq!(alone.iter().collect::<Vec<_>>(), [one]);
        }
    }

    #[test]
    fn a_token_is_good_until_its_last_moment_or_its_end() {
        let at = |n| Some(Timestamp(n));
        for (expires, revoked, now, standing) in [
            (None, None, 5, Standing::Good),
            (at(6), None, 5, Standing::Good),
            (at(5), None, 5, Standing::Expired),
            // A clock that was set back brings no revoked token to life.
            (None, at(9), 5, Standing::Revoked),
            (at(1), at(9), 5, Standing::Revoked),
        ] {
            assert_eq!(Standing::of(expires, revoked, Timestamp(now)), standing);
        }
    }
}
