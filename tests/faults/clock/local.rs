//! Local times that the clocks skip or repeat, and days that programs forget: each begins at its moment, once.

use super::fake::{FakeClock, succeed};
use super::receiver::Receiver;
use crate::finding::Finding;
use crate::ground::Ground;
use crate::support::Sandbox;

/// A zone, a local time, and the instant that it means: seconds since 1970, and as it is shown.
const TIMES: [(&str, &str, i64, &str); 8] = [
    // Skipped: the first valid instant after it.
    ("Europe/Berlin", "2027-03-28 02:30", 1_806_195_600, "2027-03-28T01:00:00.000Z"),
    ("America/New_York", "2027-03-14 02:30", 1_805_007_600, "2027-03-14T07:00:00.000Z"),
    ("Australia/Lord_Howe", "2027-10-03 02:15", 1_822_491_000, "2027-10-02T15:30:00.000Z"),
    // Repeated: the earlier one, and not again an hour (or half of one) later.
    ("Europe/Berlin", "2027-10-31 02:30", 1_824_942_600, "2027-10-31T00:30:00.000Z"),
    ("America/New_York", "2027-11-07 01:30", 1_825_565_400, "2027-11-07T05:30:00.000Z"),
    ("Australia/Lord_Howe", "2027-04-04 01:45", 1_806_763_500, "2027-04-03T14:45:00.000Z"),
    ("UTC", "2028-02-29 12:00", 1_835_438_400, "2028-02-29T12:00:00.000Z"),
    // One second more than 32 bits count.
    ("UTC", "2038-01-19 03:14:08", 2_147_483_648, "2038-01-19T03:14:08.000Z"),
];

/// Runs it.
pub fn part(ground: &Ground) -> Vec<Finding> {
    let receiver = Receiver::start(|_, _| "204 No Content".into());
    let url = receiver.url("/");
    let config = format!("[channels.hook]\nkind = \"webhook\"\nurl = \"{url}\"\n");
    let (mut misread, mut early, mut late, mut again) = (0, 0, 0, 0);
    for (number, (zone, local, instant, shown)) in TIMES.into_iter().enumerate() {
        let sandbox = ground.sandbox(|_| config.clone());
        let clock = FakeClock::new(sandbox.path());
        let at = |ahead: i64, args: &[&str]| run(&clock, &sandbox, zone, (instant + ahead) as f64, args);
        let id = at(-40_000, &["enqueue", "--channel", "hook", "--to", "ops", "--at", local, "x"]);
        let row = at(-40_000, &["show", id.trim(), "--json"]);
        let row: serde_json::Value = serde_json::from_str(&row).expect("JSON");
        misread += u64::from(row["next_attempt_at"] != shown);
        at(-30, &["send-pending"]);
        early += u64::from(receiver.requests().len() > number);
        at(0, &["send-pending"]);
        late += u64::from(receiver.requests().len() != number + 1);
        for later in [1_800, 3_600] {
            at(later, &["send-pending"]);
        }
        again += u64::from(receiver.requests().len() > number + 1);
    }
    vec![
        Finding::counted("local times skipped, repeated, on leap days and after 32 bits", TIMES.len()),
        Finding::none("understood as another instant", misread),
        Finding::none("sent before, late, or once more", early + late + again),
    ]
}

/// Runs it in this zone, at this instant.
fn run(clock: &FakeClock, sandbox: &Sandbox, zone: &str, instant: f64, args: &[&str]) -> String {
    clock.set_to(instant);
    succeed(clock.notifyctl(sandbox).env("TZ", zone).args(args))
}
