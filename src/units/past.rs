//! Moments that are over, as people look back at them: `2h`, `18:00`, `mon 09:00`, `2026-11-20`.

use std::time::Duration;

use chrono::TimeZone;

use super::{AtError, DurationError, duration, instant};
use crate::model::Timestamp;

/// What there is to write.
const FORMS: &str = "write `2h` or `30d` (so long ago), `18:00`, `mon 09:00`, `2026-11-20`, `2026-11-20 18:00` or \
                     `2026-11-20T18:00:00Z`";

/// An instant that is over: a duration ago, or the last moment of that name in `zone`.
///
/// # Errors
/// When it is none, or lies ahead; for people.
pub fn past(text: &str, now: Timestamp, zone: &impl TimeZone) -> Result<Timestamp, String> {
    const DAY: Duration = Duration::from_secs(86_400);
    match duration(text) {
        Ok(ago) => return Ok(now.minus(ago)),
        Err(error @ (DurationError::TooLong(_) | DurationError::TooFine(_))) => return Err(error.to_string()),
        Err(_) if text.trim().is_empty() => return Err(format!("is empty; {FORMS}")),
        Err(_) => {}
    }
    // A clock or a weekday means its next moment; told from a day or a week ago that is the last one. What is told from
    // now on is no such name: `+2h` a day ago would be a moment that nobody meant.
    let backs = if is_ahead(text) { &[Duration::ZERO][..] } else { &[Duration::ZERO, DAY, DAY * 7] };
    for back in backs {
        let from = now.minus(*back);
        match instant(text, from, zone)
            .or_else(|error| instant(&format!("{text} 00:00"), from, zone).map_err(|_| error))
        {
            Ok(at) if at <= now => return Ok(at),
            Ok(_) => {}
            Err(AtError::NotOne(text)) => {
                return Err(format!("`{text}` is not a time that is over; {FORMS}"));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("`{text}` is in the future"))
}

/// Whether it is told as seen from now, and not by its name.
fn is_ahead(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('+') || text.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("tomorrow"))
}
