//! Memory of the daemon: idle, at the most that it can take, and over ten minutes at half of that.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::load::{Answered, Load};
use crate::measure::{Budget, Row, median, notifyctl};
use crate::ports::free_port;

const IDLE_MIB: f64 = 24.0;
const PEAK_MIB: f64 = 96.0;

/// How long the soak lasts, how often is looked, and how much more the last third may take than the first.
const SOAK: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_secs(5);
const FLAT: f64 = 1.1;

/// The program itself, with all roles and a channel that writes to a file.
struct Daemon {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let config = config(folder.path(), address);
        let mut daemon = notifyctl(folder.path(), &config);
        // It logs a line for each request.
        daemon.arg("daemon").stderr(Stdio::null());
        let mut child = daemon.spawn().expect("start the daemon");
        while TcpStream::connect(address).is_err() {
            assert!(child.try_wait().expect("wait").is_none(), "the daemon has ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address, _folder: folder }
    }

    fn resident(&self) -> f64 {
        resident(self.child.id())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(folder: &Path, address: SocketAddr) -> String {
    format!(
        "[http]\nlisten = \"{address}\"\nloopback_without_token = true\naddress_limit = \"off\"\nmax_pending = 100000000\n\
         [channels.noop]\nkind = \"file\"\nformat = \"jsonl\"\npath = \"{}\"\n",
        folder.join("told.jsonl").display()
    )
}

pub fn run() -> Vec<Row> {
    let daemon = Daemon::start();
    std::thread::sleep(Duration::from_secs(3));
    let idle = daemon.resident();
    let load = Load { seconds: 20.0, ..Load::posts(daemon.address, 1_000) };
    load.run().whole();
    vec![row("idle", idle, IDLE_MIB), row("at its peak, 1000 connections", peak(daemon.child.id()), PEAK_MIB)]
}

fn row(when: &str, mib: f64, bound: f64) -> Row {
    Row {
        work: format!("memory: daemon, {when}"),
        ours: format!("{mib:.1} MiB"),
        floor: format!("{bound} MiB"),
        against: "the bound".into(),
        ratio: mib / bound,
        budget: Budget::AtMost(1.0),
    }
}

/// Half of what was reached in a few seconds before, for ten minutes.
pub fn soak() -> Vec<Row> {
    let daemon = Daemon::start();
    let reached = Load::posts(daemon.address, 64).run().whole();
    let half = Load {
        rate: Some((reached.rate / 2.0) as u32),
        seconds: SOAK.as_secs_f64(),
        ..Load::posts(daemon.address, 64)
    };
    let mut load = half.begin();
    let (begun, mut seen) = (Instant::now(), Vec::new());
    while begun.elapsed() < SOAK {
        std::thread::sleep(LOOK);
        seen.push(daemon.resident());
    }
    let answered: Answered = load.hear();
    let third = seen.len() / 3;
    let (first, last) = (median(&mut seen[..third].to_vec()), median(&mut seen[2 * third..].to_vec()));
    let minutes = SOAK.as_secs() / 60;
    vec![Row {
        work: format!(
            "memory: {minutes} minutes of {:.0} POST a second, the last third",
            answered.whole().rate
        ),
        ours: format!("{last:.1} MiB"),
        floor: format!("{first:.1} MiB"),
        against: "the first third".into(),
        ratio: last / first,
        budget: Budget::AtMost(FLAT),
    }]
}

/// What a process has in memory now, in MiB.
pub fn resident(process: u32) -> f64 {
    status(process, "VmRSS:")
}

/// The most that it had.
fn peak(process: u32) -> f64 {
    status(process, "VmHWM:")
}

fn status(process: u32, key: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = text.lines().find(|line| line.starts_with(key)).expect("its memory");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("KiB");
    kib / 1_024.0
}
