//! How long what is settled is kept, and when the rest goes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveTime;

use crate::model::Status;
use crate::units::{self, Period};

/// How long notifications of a final status are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Until somebody removes them: `keep`.
    Always,
    /// For this long after they were settled.
    For(Duration),
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("keep"),
            Self::For(age) => Period(*age).fmt(f),
        }
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "keep" => Ok(Self::Always),
            text => units::duration(text).map(Self::For).map_err(|error| format!("{error}, nor `keep`")),
        }
    }
}

/// A time of the day on the clock of the place: `02:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime(NaiveTime);

impl LocalTime {
    /// Two in the morning, when little else happens.
    pub const TWO: Self = Self(NaiveTime::from_hms_opt(2, 0, 0).expect("a time of the day"));
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%H:%M").fmt(f)
    }
}

impl FromStr for LocalTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NaiveTime::parse_from_str(text.trim(), "%H:%M")
            .map(Self)
            .map_err(|_| format!("`{text}` is not a time of the day like `02:00`"))
    }
}

/// How long what is settled is kept, per final status, and when the rest goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// What was sent.
    pub sent: Keep,
    /// What died.
    pub dead: Keep,
    /// What expired.
    pub expired: Keep,
    /// What was cancelled.
    pub cancelled: Keep,
    /// When the rest goes, once a day.
    pub at: LocalTime,
}

impl Retention {
    /// The statuses that are not kept for ever, those of the same age together.
    #[must_use]
    pub fn groups(&self) -> Vec<(Vec<Status>, Duration)> {
        let mut groups: BTreeMap<Duration, Vec<Status>> = BTreeMap::new();
        for (status, keep) in [
            (Status::Sent, self.sent),
            (Status::Dead, self.dead),
            (Status::Expired, self.expired),
            (Status::Cancelled, self.cancelled),
        ] {
            if let Keep::For(age) = keep {
                groups.entry(age).or_default().push(status);
            }
        }
        groups.into_iter().map(|(age, statuses)| (statuses, age)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_times_of_the_day_are_read_and_written_in_the_same_words() {
        assert_eq!("keep".parse::<Keep>().unwrap(), Keep::Always);
        assert_eq!("30d".parse::<Keep>().unwrap().to_string(), "30d");
        assert_eq!("02:30".parse::<LocalTime>().unwrap().to_string(), "02:30");
        for bad in ["", "30", "for ever"] {
            assert!(bad.parse::<Keep>().is_err(), "{bad}");
        }
        for bad in ["", "2", "24:00", "02:00:00", "2 am"] {
            assert!(bad.parse::<LocalTime>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_kept_for_ever_is_in_no_group() {
        let month = Duration::from_secs(30 * 86_400);
        let retention = Retention {
            sent: Keep::For(month),
            dead: Keep::Always,
            expired: Keep::For(Duration::from_secs(86_400)),
            cancelled: Keep::For(month),
            at: LocalTime::TWO,
        };
        assert_eq!(
            retention.groups(),
            [
                (vec![Status::Expired], Duration::from_secs(86_400)),
                (vec![Status::Sent, Status::Cancelled], month)
            ]
        );
    }
}
