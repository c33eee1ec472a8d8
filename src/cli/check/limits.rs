//! Thresholds: when a value is a warning, and when it is critical.

use std::cmp::Ordering;
use std::fmt::{self, Display};
use std::str::FromStr;

/// How things stand, in the words of monitoring plugins; the worse, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Ok,
    Warning,
    Critical,
}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        })
    }
}

/// `CRIT`, `WARN,CRIT` or `WARN,`: the last values that are still well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits<T> {
    pub(super) warning: Option<T>,
    pub(super) critical: Option<T>,
}

impl<T: Copy + PartialOrd> Limits<T> {
    /// Judges a value of which more is worse, and names the limit that it passed.
    pub(super) fn above(&self, value: T) -> (State, Option<T>) {
        self.judge(|limit| value > limit)
    }

    /// Judges a value of which less is worse, and names the limit that it passed.
    pub(super) fn below(&self, value: T) -> (State, Option<T>) {
        self.judge(|limit| value < limit)
    }

    fn judge(&self, passed: impl Fn(T) -> bool) -> (State, Option<T>) {
        match (self.warning, self.critical) {
            (_, Some(limit)) if passed(limit) => (State::Critical, Some(limit)),
            (Some(limit), _) if passed(limit) => (State::Warning, Some(limit)),
            _ => (State::Ok, None),
        }
    }
}

/// Reads limits of which each is read by `one`; the critical one is not on this side of the warning, as seen from what is `worse`.
pub(super) fn read<T: Ord, E: Display>(
    text: &str,
    worse: Ordering,
    one: impl Fn(&str) -> Result<T, E>,
) -> Result<Limits<T>, String> {
    let limit = |text: &str| match text.trim() {
        "" => Ok(None),
        text => one(text).map(Some).map_err(|error| error.to_string()),
    };
    let (warning, critical) = text.split_once(',').unwrap_or(("", text));
    let limits = Limits { warning: limit(warning)?, critical: limit(critical)? };
    match limits {
        Limits { warning: None, critical: None } => Err("names no limit; write CRIT or WARN,CRIT".into()),
        Limits { warning: Some(warning), critical: Some(critical) } if warning.cmp(&critical) == worse => {
            Err("would be CRITICAL before it is WARNING; write WARN,CRIT".into())
        }
        limits => Ok(limits),
    }
}

/// A count.
pub(super) fn number(text: &str) -> Result<Limits<u64>, String> {
    read(text, Ordering::Greater, |one| {
        u64::from_str(one).map_err(|_| format!("`{one}` is not a whole number"))
    })
}

/// A part of a hundred: `5%`, or `5`.
pub(super) fn percent(text: &str) -> Result<Limits<u64>, String> {
    read(text, Ordering::Less, |one| {
        let number = one.strip_suffix('%').unwrap_or(one).trim_end().parse();
        number
            .ok()
            .filter(|n| *n <= 100)
            .ok_or_else(|| format!("`{one}` is not a part of a hundred like `5%`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_limit_is_critical_and_two_are_a_warning_before_it() {
        let judged = |text: &str, values: [u64; 3]| values.map(|n| number(text).unwrap().above(n).0);
        assert_eq!(judged("5", [5, 6, 60]), [State::Ok, State::Critical, State::Critical]);
        assert_eq!(judged("5,50", [5, 6, 60]), [State::Ok, State::Warning, State::Critical]);
        assert_eq!(judged("5,", [5, 6, 60]), [State::Ok, State::Warning, State::Warning]);
        let free = percent("10%,5").unwrap();
        assert_eq!([10, 9, 5, 4].map(|n| free.below(n).1), [None, Some(10), Some(10), Some(5)]);
        for bad in ["", ",", "x", "-1", "5,x", "1,2,3", "6,5"] {
            assert!(number(bad).is_err(), "{bad}");
        }
        for bad in ["101%", "5%,10%"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
        assert!(number("5,5").is_ok() && percent("5,5").is_ok());
    }
}
