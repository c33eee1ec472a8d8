//! P5: with `"N/D"` no window of length D holds more than N attempts, over all passes, and a saturated
//! limit is used to at least 95 %.
//!
//! The rate is 200/20s: of the twentieth that may be lost, each window leaves more than half a second to a busy machine.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::Duration;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::{Id, Timestamp};
use notifyctl::store::{Access, Options, Store, open};

use crate::support::Sandbox;
use crate::support::http_sink::HttpSink;

const LIMIT: usize = 200;
const WINDOW: Duration = Duration::from_secs(20);
/// What the rate allows for between the recorded moment and the other side's: a fiftieth of the window.
const MARGIN: Duration = Duration::from_millis(400);

fn sandbox(sink: &HttpSink, due: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    let (url, window) = (sink.url(), WINDOW.as_secs());
    sandbox.configure(&format!(
        "[channels.hook]\nkind = \"webhook\"\nurl = \"{url}\"\nrate = [\"{LIMIT}/{window}s\"]\nmax_in_flight = 8\n"
    ));
    let rows: String =
        (0..due).map(|n| format!("{{\"channel\":\"hook\",\"to\":\"ops\",\"message\":\"m{n}\"}}\n")).collect();
    let file = sandbox.path().join("batch.ndjson");
    std::fs::write(&file, rows).unwrap();
    sandbox.ok(&["enqueue", "--batch", file.to_str().unwrap()]);
    sandbox
}

fn pass(sandbox: &Sandbox) -> Child {
    sandbox.notifyctl().arg("send-pending").stdout(Stdio::null()).spawn().unwrap()
}

fn store(sandbox: &Sandbox) -> Box<dyn Store> {
    let url = format!("sqlite://{}", sandbox.db().display()).parse().unwrap();
    let options = Options { url, busy_timeout: Duration::from_secs(5) };
    open(&options, Access::Existing, SystemClock.now()).unwrap()
}

/// The most that any window of this length holds, wherever it starts.
fn most_in_a_window(times: &[Duration], length: Duration) -> usize {
    let held = |start: usize| times[start..].iter().take_while(|at| **at < times[start] + length).count();
    (0..times.len()).map(held).max().unwrap_or(0)
}

/// How much of the limit was used while there was always something due: all but the last burst counts.
fn used(times: &[Duration]) -> f64 {
    let last_burst = (times.len() - 1) / LIMIT * LIMIT;
    let allowed = (times[last_burst] - times[0]).as_secs_f64() / WINDOW.as_secs_f64() * LIMIT as f64;
    last_burst as f64 / allowed
}

#[test]
fn three_passes_at_once_stay_within_the_rate_and_use_it() {
    let sink = HttpSink::start();
    let due = 500;
    let sandbox = sandbox(&sink, due);
    for mut pass in [pass(&sandbox), pass(&sandbox), pass(&sandbox)] {
        assert!(pass.wait().unwrap().success());
    }

    let received = sink.received();
    assert_eq!(received.len(), due);
    assert_eq!(received.iter().map(|(_, id)| id).collect::<BTreeSet<_>>().len(), due, "each once");

    let store = store(&sandbox);
    let begun = |id: Id| store.attempts(id).unwrap()[0].started_at;
    let moment = |at: Timestamp| Duration::from_millis(at.0.unsigned_abs());
    let mut attempts: Vec<_> = (1..=due as Id).map(|id| moment(begun(id))).collect();
    attempts.sort_unstable();
    let most = most_in_a_window(&attempts, WINDOW);
    assert!(most <= LIMIT, "{most} by the attempts table");
    assert!(used(&attempts) >= 0.95, "only {:.3} of the limit were used", used(&attempts));

    let mut times: Vec<_> = received.iter().map(|(at, _)| moment(*at)).collect();
    times.sort_unstable();
    // A machine so busy that an attempt needs longer than the margin to be seen blurs the receiver's view.
    let id_of = |stable_id: &str| stable_id.split('-').next().unwrap().parse().unwrap();
    let slowest = received.iter().map(|(at, id)| at.since(begun(id_of(id)))).max().unwrap();
    let length = WINDOW - slowest.saturating_sub(MARGIN);
    let most = most_in_a_window(&times, length);
    assert!(most <= LIMIT, "{most} within {length:?} by the receiver's clock");
    sandbox.ok(&["db", "check"]);
}

#[test]
fn a_pass_leaves_a_rate_that_is_far_from_free_to_a_later_one() {
    let sink = HttpSink::start();
    let sandbox = sandbox(&sink, 10);
    let url = sink.url();
    sandbox.configure(&format!("[channels.hook]\nkind = \"webhook\"\nurl = \"{url}\"\nrate = [\"3/1h\"]\n"));
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok(&["send-pending", "--json"])).unwrap();
    assert_eq!((&json["sent"], &json["left"]), (&3.into(), &7.into()));
    assert!(json["oldest_due_at"].is_string());
}
