//! Moments that are over, as people look back at them: `2h`, `18:00`, `mon 09:00`, `2026-11-20`.

use std::time::Duration;

use chrono::TimeZone;

use super::{duration, instant};
use crate::model::Timestamp;

/// An instant that is over: a duration ago, or the last moment of that name in `zone`.
///
/// # Errors
/// When it is none, or lies ahead; for people.
pub fn past(text: &str, now: Timestamp, zone: &impl TimeZone) -> Result<Timestamp, String> {
    const DAY: Duration = Duration::from_secs(86_400);
    if let Ok(ago) = duration(text) {
        return Ok(now.minus(ago));
    }
    // A clock or a weekday means its next moment; told from a day or a week ago that is the last one.
    for back in [Duration::ZERO, DAY, DAY * 7] {
        match instant(text, now.minus(back), zone)
            .or_else(|error| instant(&format!("{text} 00:00"), now, zone).map_err(|_| error))
        {
            Ok(at) if at <= now => return Ok(at),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("`{text}` is in the future"))
}
