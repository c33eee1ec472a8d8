//! `GET /v1/notifications/{id}`: against the same answer made of what lies in memory, and from the cache against from the store.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::daemon;
use super::load::{Load, What};
use super::{PAIRS, medians, prototype};
use crate::measure::{Budget, Row};
use crate::pass::{fill, pass};
use crate::ports::free_port;

/// How many are there, each sent at once: in turn they are asked for so seldom that what a process holds of Redis is over by
/// then. And how many of them are asked for again and again.
const SENT: u64 = 40_000;
const WANTED: u64 = 1_000;

const CONNECTIONS: usize = 64;

/// Seconds within which all of them were asked for once.
const FILLED: f64 = 6.0;

/// What is written meanwhile, a second.
const WRITES: u32 = 2_000;

pub fn run() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(pass(fill(folder.path(), SENT as usize)), SENT);
    let mut rows = vec![bare(folder.path())];
    rows.extend(cached(folder.path()));
    rows
}

fn bare(folder: &Path) -> Row {
    let (_showing, theirs) = prototype::showing(folder);
    let (_daemon, ours) = daemon::start(folder, "");
    let get = |address| {
        let what = What::Show(SENT);
        Load { address, what, connections: CONNECTIONS, rate: None, warm: 0.5, seconds: 2.0 }.run().whole()
    };
    let pairs: Vec<_> = (0..PAIRS).map(|_| (get(ours), get(theirs))).collect();
    let (ours, theirs, ratio) = medians(&pairs, |answered| answered.rate);
    Row {
        work: format!("GET /v1/notifications/ID, {CONNECTIONS} connections"),
        ours: format!("{ours:.0}/s"),
        floor: format!("{theirs:.0}/s"),
        against: "the same answer by bare axum, from memory".into(),
        ratio,
        budget: Budget::AtLeast(0.4),
    }
}

/// Both on the same store, which is written to by posts.
fn cached(folder: &Path) -> [Row; 2] {
    let redis = Redis::start(folder);
    let with = format!("[cache]\nurl = \"redis://127.0.0.1:{}/0\"\n", redis.port);
    let (_cached, cached) = daemon::start(folder, &with);
    let (_plain, plain) = daemon::start(folder, "");
    let get = |address, wanted, warm| {
        let load = Load { connections: 16, warm, seconds: 3.0, ..Load::posts(address, 16) };
        let mut writing = Load { rate: Some(WRITES), ..Load::posts(plain, 16) }.begin();
        let got = Load { what: What::Show(wanted), ..load }.run().whole();
        writing.hear::<super::Answered>().whole();
        got
    };
    let row = |wanted, where_from: &str| {
        let pairs: Vec<_> = (0..PAIRS).map(|_| (get(cached, wanted, 1.0), get(plain, wanted, 1.0))).collect();
        let (ours, theirs, ratio) = medians(&pairs, |answered| answered.rate);
        Row {
            work: format!("GET of {wanted}, {where_from}, beside {WRITES} POST a second"),
            ours: format!("{ours:.0}/s"),
            floor: format!("{theirs:.0}/s"),
            against: "the same from the store".into(),
            ratio,
            budget: Budget::AtLeast(1.0),
        }
    };
    let often = row(WANTED, "on a hit");
    // Each of them once, so that they lie there.
    get(cached, SENT, FILLED);
    [often, row(SENT, "on a hit in Redis itself")]
}

/// A Redis that keeps nothing on disk.
struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--", "redis-server", "--port", &port.to_string()]);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(folder);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("start redis-server");
        let mut redis = Self { port, child };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(redis.child.try_wait().expect("wait").is_none(), "redis-server has ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
