//! Many connections: a thousand that ask ten thousand times a second, and ten thousand of which few are busy.
//!
//! Ten thousand need as many open files in each process: the hard limit must allow it (`ulimit -Hn`).

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::load::{self, Load, What};
use super::memory::resident;
use super::part::{self, Part, say};
use super::{Ours, medians};
use crate::measure::{Budget, Row, median};

/// How many ask how often, and how long the slowest hundredth may take, in milliseconds.
const ASKING: usize = 1_000;
const RATE: u32 = 10_000;
const BOUND_MS: f64 = 100.0;

/// How many are open, how many of them are busy, how often those ask, and what each may cost.
const OPEN: usize = 10_000;
const BUSY: usize = 500;
const BUSY_RATE: u32 = 5_000;
const BOUND_KIB: f64 = 25.0;

/// Open files beside the connections.
const RESERVE: u64 = 500;

/// Rounds.
const ROUNDS: usize = 5;

pub fn run() -> Vec<Row> {
    let mut rows = vec![steady()];
    rows.extend(open());
    rows
}

fn steady() -> Row {
    let posts = |ours: &Ours| {
        let load = Load { rate: Some(RATE), warm: 2.0, seconds: 8.0, ..Load::posts(ours.address, ASKING) };
        load.run().whole()
    };
    let answered: Vec<_> = (0..ROUNDS).map(|_| posts(&Ours::start())).collect();
    let p99 = median(&mut answered.iter().map(|one| one.p99).collect::<Vec<_>>());
    let rate = median(&mut answered.iter().map(|one| one.rate).collect::<Vec<_>>());
    Row {
        work: format!("{ASKING} connections, {RATE} POST a second ({rate:.0} reached), p99"),
        ours: format!("{p99:.1} ms"),
        floor: format!("{BOUND_MS} ms"),
        against: "the bound".into(),
        // What is not reached is late, and counts as such.
        ratio: p99 / BOUND_MS,
        budget: Budget::AtMost(1.0),
    }
}

fn open() -> Vec<Row> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    assert!(most >= OPEN as u64 + RESERVE, "ulimit -Hn is {most}; {OPEN} connections need more");
    let mut each = Vec::new();
    let pairs: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let ours = Ours::start();
            let busy = || {
                let load = Load::posts(ours.address, BUSY);
                Load { rate: Some(BUSY_RATE), warm: 1.0, seconds: 5.0, ..load }.run().whole()
            };
            let alone = busy();
            let before = resident(ours.part.id());
            let mut idle = Part::start("crowd", &Crowd { address: ours.address, connections: OPEN - BUSY });
            let _there: bool = idle.hear();
            each.push((resident(ours.part.id()) - before) * 1_024.0 / (OPEN - BUSY) as f64);
            let beside = busy();
            // They have been there all the time.
            let left: usize = idle.hear();
            assert_eq!(left, OPEN - BUSY, "every connection stays open");
            (beside, alone)
        })
        .collect();
    let (ours, alone, ratio) = medians(&pairs, |answered| answered.p99);
    let each = median(&mut each);
    vec![
        Row {
            work: format!("{} idle connections, memory of each", OPEN - BUSY),
            ours: format!("{each:.1} KiB"),
            floor: format!("{BOUND_KIB} KiB"),
            against: "the bound".into(),
            ratio: each / BOUND_KIB,
            budget: Budget::AtMost(1.0),
        },
        Row {
            work: format!("{BUSY} busy ones beside them, {BUSY_RATE} POST a second, p99"),
            ours: format!("{ours:.1} ms"),
            floor: format!("{alone:.1} ms"),
            against: "the same without the idle ones".into(),
            ratio,
            budget: Budget::AtMost(2.0),
        },
    ]
}

/// Connections that ask once each and then say nothing.
#[derive(Serialize, Deserialize)]
struct Crowd {
    address: std::net::SocketAddr,
    connections: usize,
}

/// For how long: as long as the busy ones are measured, and less than an idle connection is kept.
const SILENT: Duration = Duration::from_secs(8);

/// `part crowd CROWD`: says when all are there, and later how many are still.
pub fn main(crowd: &str) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("raise the limit");
    let Crowd { address, connections } = serde_json::from_str(crowd).expect("a crowd");
    let load = Load { what: What::Live, ..Load::posts(address, connections) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut all = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut sender = load::connect(address).await;
            assert!(load::answer(&mut sender, &load, 0).await.expect("an answer"), "it lives");
            all.push(sender);
        }
        say(&true);
        tokio::time::sleep(SILENT).await;
        let mut left = 0_usize;
        for sender in &mut all {
            left += usize::from(load::answer(sender, &load, 0).await.unwrap_or_default());
        }
        say(&left);
    });
    part::stay();
}
