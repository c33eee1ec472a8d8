//! Durations, sizes, rates, schedules and times.

use notifyctl::model::{Rate, RetrySchedule, Timestamp};
use notifyctl::units;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Any text as each of them: what is understood reads back as the same from how it is written.
pub fn units(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(rate) = text.parse::<Rate>() {
        assert!(rate.limit() >= 1 && rate.window() >= Rate::WINDOWS.0 && rate.window() <= Rate::WINDOWS.1);
        assert_eq!(rate.to_string().parse(), Ok(rate), "{rate}");
    }
    if let Ok(schedule) = text.parse::<RetrySchedule>() {
        assert!(schedule.retries() <= RetrySchedule::LIMIT);
        assert_eq!(schedule.to_string().parse().as_ref(), Ok(&schedule), "{schedule}");
        for used in 0..=u32::try_from(schedule.retries()).expect("few") {
            let wait = schedule.wait(used, 0.5);
            assert_eq!(wait.is_some(), (used as usize) < schedule.retries());
        }
    }
    if let Ok(duration) = units::duration(&text) {
        // What people see of it never fails, and no sum with it wraps round.
        assert!(!units::span(duration).is_empty());
        assert!(NOW.plus(duration) >= NOW);
        assert!(NOW.minus(duration) <= NOW);
    }
    if let Ok(size) = units::size(&text) {
        assert_eq!(units::size(&units::Size(size).to_string()).ok(), Some(size));
    }
    for zone in [chrono::FixedOffset::east_opt(0), chrono::FixedOffset::west_opt(12_600)] {
        let zone = zone.expect("a zone");
        if let Ok(at) = units::at(&text, NOW, &zone) {
            assert!(at >= NOW, "`at` names what is to come: {at:?}");
            let written = notifyctl::wire::rfc3339(at);
            assert_eq!(units::instant(&written, NOW, &zone).ok(), Some(at), "{written}");
        }
        if let Ok(at) = units::instant(&text, NOW, &zone) {
            assert!(!units::ago(at, NOW).is_empty());
        }
    }
}
