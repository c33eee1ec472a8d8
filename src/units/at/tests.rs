//! The grammar by table, the days on which Berlin's clocks change, and the system's own zone.

use chrono::{FixedOffset, Local, MappedLocalTime};
use proptest::prelude::*;

use super::*;
use crate::wire::rfc3339;

/// Central European time with its rule since 1996: forward on the last Sunday of March, back on that of
/// October, at 01:00 UTC.
#[derive(Debug, Clone, Copy)]
struct Berlin;

impl Berlin {
    fn change(year: i32, month: u32) -> NaiveDateTime {
        let mut day = NaiveDate::from_ymd_opt(year, month, 31).unwrap();
        while day.weekday() != Weekday::Sun {
            day = day.pred_opt().unwrap();
        }
        day.and_hms_opt(1, 0, 0).unwrap()
    }

    fn hours(utc: &NaiveDateTime) -> FixedOffset {
        let summer = (Self::change(utc.year(), 3)..Self::change(utc.year(), 10)).contains(utc);
        FixedOffset::east_opt(if summer { 7_200 } else { 3_600 }).unwrap()
    }
}

impl TimeZone for Berlin {
    type Offset = FixedOffset;

    fn from_offset(_: &FixedOffset) -> Self {
        Self
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<FixedOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
        let offsets = [7_200, 3_600].map(|seconds| FixedOffset::east_opt(seconds).unwrap());
        let valid = offsets.map(|offset| Self::hours(&(*local - offset)) == offset);
        match valid {
            [true, true] => MappedLocalTime::Ambiguous(offsets[0], offsets[1]),
            [true, false] => MappedLocalTime::Single(offsets[0]),
            [false, true] => MappedLocalTime::Single(offsets[1]),
            [false, false] => MappedLocalTime::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> FixedOffset {
        Self::hours(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
        Self::hours(utc)
    }
}

fn stamp(text: &str) -> Timestamp {
    Timestamp(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

fn read(text: &str, now: &str) -> String {
    match at(text, stamp(now), &Berlin) {
        Ok(at) => rfc3339(at).replace(":00.000Z", "Z"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_form_is_read_in_local_time() {
    // A Friday, 10:00 in Berlin.
    let now = "2026-11-20T09:00:00Z";
    for (text, expected) in [
        ("now", "2026-11-20T09:00Z"),
        (" NOW ", "2026-11-20T09:00Z"),
        ("+2h", "2026-11-20T11:00Z"),
        ("+1d 30m", "2026-11-21T09:30Z"),
        ("18:00", "2026-11-20T17:00Z"),
        ("09:59", "2026-11-21T08:59Z"),
        ("10:00", "2026-11-21T09:00Z"),
        ("18:00:30", "2026-11-20T17:00:30.000Z"),
        ("tomorrow 09:00", "2026-11-21T08:00Z"),
        ("Tomorrow  09:00", "2026-11-21T08:00Z"),
        ("mon 09:00", "2026-11-23T08:00Z"),
        ("Monday 09:00", "2026-11-23T08:00Z"),
        ("fri 18:00", "2026-11-20T17:00Z"),
        ("fri 09:00", "2026-11-27T08:00Z"),
        ("thursday 09:00", "2026-11-26T08:00Z"),
        ("2026-12-24 18:00", "2026-12-24T17:00Z"),
        ("2027-07-01 18:00:30", "2027-07-01T16:00:30.000Z"),
        ("2028-02-29 00:00", "2028-02-28T23:00Z"),
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00Z"),
        ("2026-12-24T18:00:00.250+05:30", "2026-12-24T12:30:00.250Z"),
    ] {
        assert_eq!(read(text, now), expected, "{text}");
    }
}

#[test]
fn what_is_no_time_is_answered_with_what_would_be_one() {
    for text in [
        "",
        "soon",
        "24:00",
        "18:60",
        "23:59:60",
        "9:00",
        "18:00 tomorrow",
        "tomorrow",
        "m 09:00",
        "mont 09:00",
        "2026-02-30 09:00",
        "2027-02-29 09:00",
        "26-12-24 18:00",
        "2026-12-24",
        "2026-12-24 18",
        "20261224 1800",
        "\u{e9}\u{e9}\u{e9}-\u{e9}\u{e9} 09:00",
    ] {
        assert!(read(text, "2026-11-20T09:00:00Z").contains("is not a time; write"), "{text}");
    }
    assert!(read("2026-12-24T18:00:00", "2026-11-20T09:00:00Z").contains("names no zone; append `Z`"));
    assert!(read("2026-12-24T18:00", "2026-11-20T09:00:00Z").contains("names no zone; append `Z`"));
    assert!(read("+2", "2026-11-20T09:00:00Z").contains("`2` has no unit"));
}

#[test]
fn the_past_is_refused_but_for_the_second_that_date_cuts_off() {
    let now = "2026-11-20T09:00:40Z";
    assert_eq!(read("2026-11-20 07:00", now), "`2026-11-20 07:00` is in the past (3 h ago); use `now`");
    assert_eq!(
        read("2020-01-01T00:00:00Z", now),
        "`2020-01-01T00:00:00Z` is in the past (2515 d 9 h ago); use `now`"
    );
    // `--at "$(date +'%F %H:%M')"` and `--at "$(date -Is)"`
    assert_eq!(read("2026-11-20 10:00", now), "2026-11-20T09:00:40.000Z");
    assert_eq!(read("2026-11-20T10:00:39+01:00", now), "2026-11-20T09:00:40.000Z");
    assert_eq!(instant("2026-11-20 07:00", stamp(now), &Berlin), Ok(stamp("2026-11-20T06:00:00Z")));
}

#[test]
fn a_skipped_local_time_means_the_first_valid_instant() {
    // 2027-03-28: 02:00 to 03:00 do not exist; the clocks go from 02:00 to 03:00 at 01:00 UTC.
    for text in ["2027-03-28 02:00", "2027-03-28 02:30", "2027-03-28 02:59:59", "sun 02:30", "02:30"] {
        assert_eq!(read(text, "2027-03-27T12:00:00Z"), "2027-03-28T01:00Z", "{text}");
    }
    assert_eq!(read("2027-03-28 01:59", "2027-03-27T12:00:00Z"), "2027-03-28T00:59Z");
    assert_eq!(read("2027-03-28 03:00", "2027-03-27T12:00:00Z"), "2027-03-28T01:00Z");
    assert_eq!(read("tomorrow 12:00", "2027-03-27T12:00:00Z"), "2027-03-28T10:00Z");
}

#[test]
fn a_repeated_local_time_means_the_earlier_one() {
    // 2026-10-25: 02:00 to 03:00 exist twice; the clocks go from 03:00 to 02:00 at 01:00 UTC.
    for text in ["2026-10-25 02:30", "sun 02:30", "tomorrow 02:30"] {
        assert_eq!(read(text, "2026-10-24T12:00:00Z"), "2026-10-25T00:30Z", "{text}");
    }
    // Between the two: the first is over, the second is not a time of its own.
    assert_eq!(read("02:30", "2026-10-25T00:45:00Z"), "2026-10-26T01:30Z");
    assert_eq!(read("03:00", "2026-10-24T12:00:00Z"), "2026-10-25T02:00Z");
}

/// chrono's own view of a changing zone, in a process of its own: its zone comes from the environment.
#[test]
fn the_systems_zone_gives_the_same_answers() {
    const NAME: &str = "units::at::tests::the_systems_zone_gives_the_same_answers";
    if std::env::var_os("TZ").is_none_or(|zone| zone != "CET-1CEST,M3.5.0,M10.5.0/3") {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", NAME]).env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    assert_eq!(Local.from_utc_datetime(&Berlin::change(2026, 3)).offset().fix().local_minus_utc(), 7_200);
    for day in ["2026-03-29", "2026-10-25", "2026-07-01", "2026-12-24"] {
        for minute in (0..24 * 60).step_by(10) {
            let text = format!("{day} {:02}:{:02}", minute / 60, minute % 60);
            let now = stamp("2026-01-01T00:00:00Z");
            assert_eq!(at(&text, now, &Local), at(&text, now, &Berlin), "{text}");
        }
    }
}

proptest! {
    #[test]
    fn the_next_one_is_after_now_and_within_the_days_it_may_take(
        now in 1_700_000_000_000i64..2_000_000_000_000,
        minute in 0u32..24 * 60,
        weekday in 0usize..8,
    ) {
        let day = ["mon ", "tue ", "wed ", "thu ", "fri ", "sat ", "sun ", ""][weekday];
        let text = format!("{day}{:02}:{:02}", minute / 60, minute % 60);
        let at = at(&text, Timestamp(now), &Berlin).unwrap();
        let days = if day.is_empty() { 1 } else { 7 };
        prop_assert!(at.0 > now, "{}", text);
        // An hour more where the clocks go back, one more where the first of two is over.
        prop_assert!(at.0 - now <= (days * 24 + 2) * 3_600_000, "{} {}", text, rfc3339(at));
    }

    #[test]
    fn what_the_local_clock_shows_reads_back_as_that_instant(second in 1_700_000_000i64..2_000_000_000) {
        let shown = DateTime::from_timestamp(second, 0).unwrap().with_timezone(&Berlin).naive_local();
        let text = shown.format("%Y-%m-%d %H:%M:%S").to_string();
        let at = instant(&text, Timestamp(0), &Berlin).unwrap();
        let back = second * 1_000 - at.0;
        prop_assert!(back == 0 || back == 3_600_000, "{} {}", text, back);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", now in any::<i64>()) {
        let _ = at(&text, Timestamp(now), &Berlin);
    }

    #[test]
    fn nothing_like_a_time_makes_it_panic(text in "[-+0-9:. TZmontsure]{0,24}") {
        let _ = at(&text, Timestamp(0), &Berlin);
    }
}
