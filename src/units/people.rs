//! Durations and instants for people: `3 m 20 s`, `2 h ago`. Programs get milliseconds and RFC 3339.

use std::time::Duration;

use crate::model::Timestamp;

/// A duration in its two largest units: `1 d 4 h`, `3 m 20 s`, `250 ms`. What is smaller is cut off.
#[must_use]
pub fn span(duration: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let seconds = duration.as_secs();
    let Some(largest) = UNITS.iter().position(|&(_, length)| seconds >= length) else {
        return format!("{} ms", duration.subsec_millis());
    };
    let (unit, length) = UNITS[largest];
    let first = format!("{} {unit}", seconds / length);
    match UNITS.get(largest + 1) {
        Some((unit, next)) if seconds % length >= *next => {
            format!("{first} {} {unit}", seconds % length / next)
        }
        _ => first,
    }
}

/// Where `at` lies as seen from `now`: `in 3 m 20 s`, `2 h ago`, or `now` within a second.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    const NOW: Duration = Duration::from_secs(1);
    let (past, future) = (now.since(at), at.since(now));
    if past.max(future) < NOW {
        "now".into()
    } else if at > now {
        format!("in {}", span(future))
    } else {
        format!("{} ago", span(past))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_shows_its_two_largest_units() {
        for (millis, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_999, "1 s"),
            (60_000, "1 m"),
            (200_000, "3 m 20 s"),
            (7_200_000, "2 h"),
            (7_259_000, "2 h"),
            (9_000_000, "2 h 30 m"),
            (86_400_000, "1 d"),
            (100_800_000, "1 d 4 h"),
            (34_560_000_000, "400 d"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn an_instant_is_seen_from_now() {
        let now = Timestamp(1_000_000_000);
        for (offset, expected) in [
            (0, "now"),
            (999, "now"),
            (-999, "now"),
            (1_000, "in 1 s"),
            (200_000, "in 3 m 20 s"),
            (-7_200_000, "2 h ago"),
        ] {
            assert_eq!(ago(Timestamp(now.0 + offset), now), expected);
        }
    }

    #[test]
    fn instants_at_the_end_of_time_are_no_trouble() {
        assert!(ago(Timestamp(i64::MAX), Timestamp(i64::MIN)).starts_with("in "));
        assert!(ago(Timestamp(i64::MIN), Timestamp(i64::MAX)).ends_with(" ago"));
    }
}
