//! P2 and P4 in a storm: whoever enqueues and whoever delivers is killed at random moments, hundreds of times. What was
//! accepted arrives, and again only what was in flight at a kill.

mod actors;
mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use notifyctl::model::{Reason, Status};
use notifyctl::store::{Filter, Order as Direction, Page, Store};

use crate::finding::Finding;
use crate::ground::Ground;
use crate::receiver::Receiver;
use crate::support::Sandbox;
use actors::Storm;
use history::{Answer, CHANNELS, HOLDS, History, Order, controls, judge};

/// How many attempts each channel lets be under way at once, in one process. In flight are those and the ones whose
/// answers are on their way into the store; a worker has both on record.
const CONNECTIONS: usize = 4;

/// How long the receiver takes at most: long enough that a kill finds attempts under way.
const SLOWEST: Duration = Duration::from_millis(12);

/// How long the passes after the storm may take to bring everything to its end.
const CALM: Duration = Duration::from_secs(120);

pub fn scenario(ground: &Ground) -> Vec<Finding> {
    let receiver = Receiver::start(SLOWEST);
    let sandbox = ground.sandbox(|_| config(&receiver));
    let storm = Storm::new(&sandbox, &receiver, ground.scale(24, 600));
    storm.rage(ground.random());
    let (orders, kills, said) = storm.over();
    let poisoned = settle_down(&sandbox);
    let store = sandbox.store();
    let counts = store.counts().expect("count");
    let unsettled = counts.of(Status::Pending) + counts.of(Status::Sending);
    let mut history = History {
        store_id: store.identity().expect("an identity").store_id,
        orders,
        arrivals: receiver.arrivals(),
        kills,
        ..History::default()
    };
    read_deaths(&*store, &mut history);
    let shown = sandbox.ok(&["list", "--status", "held", "--json"]).lines().count();
    let check = sandbox.notifyctl().args(["db", "check"]).output().expect("check");

    let judgement = judge(&history);
    let in_flight = |holds: bool| -> usize {
        let died = history.died.iter().filter(|(n, _)| (history::channel(**n) == HOLDS) == holds);
        died.map(|(_, times)| times).sum()
    };
    let repeated = judgement.duplicates - judgement.duplicates_where_held;
    let per_kill = repeated as f64 / history.kills.len() as f64;
    let mut findings = vec![
        Finding::counted("passes killed", history.kills.len()),
        Finding::counted("enqueue commands killed", said.killed),
        Finding::counted("  of those, run again under their key", said.again),
        Finding::counted("  of those, told nothing; notifications there all the same", judgement.unanswered),
        Finding::counted("accepted", judgement.accepted),
        Finding::counted("arrived, with repetitions", history.arrivals.len()),
        Finding::none("lost", judgement.lost as u64),
        Finding::counted("attempts in flight at the kills, on record", in_flight(false)),
        Finding::at_most("duplicated", repeated, in_flight(false)),
        Finding::counted("  a kill, with 8 connections each", format!("{per_kill:.2}")),
        Finding::none("duplicated without a death or a kill", judgement.unexplained as u64),
        Finding::none("repeated under another id, or not under the one printed", judgement.renamed as u64),
        Finding::none("not byte-equal", judgement.altered as u64),
        Finding::none("arrived, and never enqueued", judgement.unasked as u64),
        Finding::none("half a batch", judgement.torn as u64),
        Finding::counted("on_unknown = hold: in flight at the kills", in_flight(true)),
        Finding::none("on_unknown = hold: duplicated", judgement.duplicates_where_held as u64),
        Finding::at_most("on_unknown = hold: held", history.held.len(), in_flight(true)),
        Finding::counted("on_unknown = hold: held, and had arrived", judgement.held_arrived),
        Finding::none("on_unknown = hold: held, and not shown", history.held.len().abs_diff(shown) as u64),
        Finding::counted("killed thrice in a row, dead as poison, requeued", poisoned),
        Finding::none("not settled in the end", unsettled),
        Finding::none("enqueue refused", said.refused as u64),
        Finding::none("passes that failed by themselves", said.failed as u64),
        Finding::none("store unsound (db check)", u64::from(!check.status.success())),
    ];
    let doctored = controls(&history);
    let seen = doctored.iter().filter(|(_, seen)| *seen).count();
    for (what, _) in doctored.iter().filter(|(_, seen)| !seen) {
        findings.push(Finding::at_least(format!("control not seen: {what}"), 0, 1));
    }
    findings.push(Finding::at_least("control: flaws seen in doctored histories", seen, doctored.len()));
    findings.extend(by_hand(ground));
    findings
}

fn config(receiver: &Receiver) -> String {
    let [mail, hook, careful] = CHANNELS;
    let terms = format!("max_in_flight = {CONNECTIONS}\nretry = \"1s*900\"\n");
    format!(
        "[channels.{mail}]\n{smtp}{terms}[channels.{hook}]\n{webhook}{terms}\
         [channels.{careful}]\n{smtp}{terms}on_unknown = \"hold\"\n",
        smtp = receiver.smtp(),
        webhook = receiver.webhook(),
    )
}

/// Passes that nobody disturbs, until nothing is left. Says how many had to be requeued, being taken for poison.
fn settle_down(sandbox: &Sandbox) -> usize {
    let mut poisoned = 0;
    let deadline = Instant::now() + CALM;
    while Instant::now() < deadline {
        let pass = sandbox.notifyctl().arg("send-pending").output().expect("run a pass");
        let said = String::from_utf8_lossy(&pass.stderr);
        assert!(actors::ended_well(pass.status), "a pass that nobody disturbed: {}\n{said}", pass.status);
        let counts = sandbox.store().counts().expect("count");
        if counts.of(Status::Dead) > 0 {
            poisoned += sandbox.ok(&["requeue", "--status", "dead"]).lines().count();
        } else if counts.of(Status::Pending) + counts.of(Status::Sending) == 0 {
            break;
        }
    }
    poisoned
}

/// What the store says of deaths and holds, by the number that stands in the text.
fn read_deaths(store: &dyn Store, history: &mut History) {
    let mut page = Page { order: Direction::OldestFirst, after: None, limit: Page::LIMIT };
    loop {
        let rows = store.list(&Filter::default(), &page).expect("list");
        let Some(last) = rows.last() else { return };
        page.after = Some(last.id);
        for row in rows.iter().filter(|row| row.attempts > 1 || row.status != Status::Sent) {
            let text = store.get(row.id).expect("read").expect("listed").content.message;
            let n = history::number(&text).expect("a text of ours");
            let attempts = store.attempts(row.id).expect("attempts");
            let died = attempts.iter().filter(|attempt| attempt.reason == Some(Reason::WorkerDied)).count();
            if died > 0 {
                history.died.insert(n, died);
            }
            if row.status == Status::Held {
                history.held.insert(n);
            }
        }
    }
}

/// A loss and a repetition made by hand in a store, and what the bench says of them.
fn by_hand(ground: &Ground) -> [Finding; 3] {
    let receiver = Receiver::start(Duration::ZERO);
    let sandbox = ground.sandbox(|_| config(&receiver));
    let numbers: Vec<usize> = (0..6).collect();
    let batch = sandbox.path().join("batch.ndjson");
    std::fs::write(&batch, actors::rows(&numbers, None)).expect("write a batch");
    sandbox.ok(&["enqueue", "--batch", batch.to_str().expect("UTF-8")]);
    // Both on one channel, whose counters then stay possible.
    by_sql(&sandbox.db(), "UPDATE notifications SET status = 'sent', settled_at = 1 WHERE id = 1");
    let check = sandbox.notifyctl().args(["db", "check"]).output().expect("check");
    sandbox.ok(&["send-pending"]);
    by_sql(&sandbox.db(), "UPDATE notifications SET status = 'pending', settled_at = NULL WHERE id = 4");
    sandbox.ok(&["send-pending"]);
    let judgement = judge(&History {
        orders: vec![Order { numbers, answer: Answer::Accepted((1..=6).collect()) }],
        store_id: sandbox.store().identity().expect("an identity").store_id,
        arrivals: receiver.arrivals(),
        kills: Vec::new(),
        died: BTreeMap::new(),
        held: BTreeSet::new(),
    });
    [
        Finding::at_least("control: lost, marked sent by hand", judgement.lost, 1),
        Finding::at_least("control: duplicated, made pending by hand", judgement.unexplained, 1),
        Finding::at_least("control: db check sees the first", u8::from(!check.status.success()), 1),
    ]
}

fn by_sql(db: &Path, statement: &str) {
    let connection = rusqlite::Connection::open(db).expect("open");
    assert_eq!(connection.execute(statement, []).expect("change a row"), 1, "{statement}");
}
