//! Instants as `--at` takes them: a small, closed grammar, read in a given time zone.
//!
//! A local time that the clocks skip means the first valid instant after it, one that they repeat means
//! the earlier.

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc, Weekday,
};

use super::people::ago;
use super::{DurationError, duration};
use crate::model::Timestamp;

/// How far in the past still means now: `date` gives whole seconds or minutes, and they are over when we read them.
const JUST_NOW: TimeDelta = TimeDelta::minutes(1);

/// Reads when something is to happen: `now`, `+2h`, `18:00` (the next one), `tomorrow 09:00`, `mon 09:00`
/// (the next one), `2026-12-24 18:00[:30]` or RFC 3339.
///
/// # Errors
/// When it is none of these, or more than a minute in the past.
pub fn at<Z: TimeZone>(text: &str, now: Timestamp, zone: &Z) -> Result<Timestamp, AtError> {
    let at = instant(text, now, zone)?;
    if at >= now {
        Ok(at)
    } else if at.0 > now.0.saturating_sub(JUST_NOW.num_milliseconds()) {
        Ok(now)
    } else {
        Err(AtError::Past { text: text.trim().to_owned(), ago: ago(at, now) })
    }
}

/// Reads an instant by the same grammar, in the past too.
///
/// # Errors
/// When it is none of these.
pub fn instant<Z: TimeZone>(text: &str, now: Timestamp, zone: &Z) -> Result<Timestamp, AtError> {
    let text = text.trim();
    let not_one = || AtError::NotOne(text.to_owned());
    if text.eq_ignore_ascii_case("now") {
        return Ok(now);
    }
    if let Some(wait) = text.strip_prefix('+') {
        return Ok(now.plus(duration(wait)?));
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Timestamp(at.timestamp_millis()));
    }
    let now = DateTime::<Utc>::from_timestamp_millis(now.0).ok_or_else(not_one)?;
    let at = match text.split_once(' ') {
        None => next_of(time(text).ok_or_else(|| no_zone(text))?, &now, zone, |_| true),
        Some((day, clock)) => {
            let clock = time(clock.trim()).ok_or_else(not_one)?;
            on_day(day, clock, &now, zone).ok_or_else(not_one)?
        }
    };
    at.map(|at| Timestamp(at.timestamp_millis())).ok_or_else(not_one)
}

/// A text that is no instant, or one in the past.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AtError {
    /// Not of the grammar.
    #[error(
        "`{0}` is not a time; write `now`, `+2h`, `18:00`, `tomorrow 09:00`, `mon 09:00`, `2026-12-24 18:00` or `2026-12-24T18:00:00Z`"
    )]
    NotOne(String),
    /// A date and a time as in RFC 3339, but for the zone.
    #[error(
        "`{0}` names no zone; append `Z` or `+01:00`, or write a blank in place of the `T` for local time"
    )]
    NoZone(String),
    /// Behind the `+` there is no duration.
    #[error(transparent)]
    Wait(#[from] DurationError),
    /// Over.
    #[error("`{text}` is in the past ({ago}); use `now`")]
    Past {
        /// What was given.
        text: String,
        /// How long it is over.
        ago: String,
    },
}

fn no_zone(text: &str) -> AtError {
    const FORMS: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    match FORMS.iter().any(|form| NaiveDateTime::parse_from_str(text, form).is_ok()) {
        true => AtError::NoZone(text.to_owned()),
        false => AtError::NotOne(text.to_owned()),
    }
}

/// `18:00` or `18:00:30`, with every digit.
fn time(text: &str) -> Option<NaiveTime> {
    let form = match text.len() {
        5 => "%H:%M",
        8 => "%H:%M:%S",
        _ => return None,
    };
    // A leap second would be told as the second after it anyway; no clock of ours shows one.
    NaiveTime::parse_from_str(text, form).ok().filter(|_| !text.ends_with(":60"))
}

/// `None` when the word names no day; within, `None` when the calendar ends.
fn on_day<Z: TimeZone>(
    day: &str,
    clock: NaiveTime,
    now: &DateTime<Utc>,
    zone: &Z,
) -> Option<Option<DateTime<Utc>>> {
    let day = day.to_ascii_lowercase();
    let today = now.with_timezone(zone).date_naive();
    if day == "tomorrow" {
        return Some(today.checked_add_days(Days::new(1)).and_then(|day| resolve(day.and_time(clock), zone)));
    }
    if day.len() == 10 && day.as_bytes()[4] == b'-' {
        let date = NaiveDate::parse_from_str(&day, "%Y-%m-%d").ok()?;
        return Some(resolve(date.and_time(clock), zone));
    }
    let weekday = weekday(&day)?;
    Some(next_of(clock, now, zone, |date| date.weekday() == weekday))
}

/// `mon` or `monday`, and so on.
fn weekday(word: &str) -> Option<Weekday> {
    matches!(word.len(), 3 | 6..=9).then(|| word.parse().ok()).flatten()
}

/// The first instant after `now` at which a local clock shows `clock` on a day that `fits`.
fn next_of<Z: TimeZone>(
    clock: NaiveTime,
    now: &DateTime<Utc>,
    zone: &Z,
    fits: impl Fn(&NaiveDate) -> bool,
) -> Option<DateTime<Utc>> {
    let today = now.with_timezone(zone).date_naive();
    today
        .iter_days()
        // A fitting day comes within a week, or today is one and its moment is over.
        .take(8)
        .filter(fits)
        .filter_map(|day| resolve(day.and_time(clock), zone))
        .find(|at| at > now)
}

/// The instant of a local time; the earlier one where there are two.
///
/// Asks the zone for offsets at instants alone: chrono 0.4.45 answers local times at the very end of a
/// repeated hour with the wrong instant (`Local`, 03:00 on the day on which 02:00 to 03:00 comes twice).
fn resolve<Z: TimeZone>(local: NaiveDateTime, zone: &Z) -> Option<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    let middle = local.and_utc();
    let nearby = [middle.checked_sub_days(Days::new(1))?, middle.checked_add_days(Days::new(1))?];
    let candidates = nearby.map(|at| (offset(at), middle - offset(at)));
    let valid = candidates.into_iter().filter(|&(used, at)| offset(at) == used).map(|(_, at)| at);
    valid.min().or_else(|| first_after(local, zone))
}

/// The first instant whose local time is later than `local`, which the clocks skip.
fn first_after<Z: TimeZone>(local: NaiveDateTime, zone: &Z) -> Option<DateTime<Utc>> {
    // No offset from UTC exceeds a day, so the gap lies between these two; all clocks change at full seconds.
    let middle = local.and_utc().timestamp();
    let (mut before, mut after) = (middle - 86_400, middle + 86_400);
    while after - before > 1 {
        let at = before + (after - before) / 2;
        let shown = DateTime::from_timestamp(at, 0)?.with_timezone(zone).naive_local();
        if shown > local { after = at } else { before = at }
    }
    DateTime::from_timestamp(after, 0)
}

#[cfg(test)]
mod tests;
