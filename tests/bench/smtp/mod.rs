//! A whole pass over SMTP, from claim to settled: into Postfix's smtp-sink and into a real Postfix, against Postfix's
//! smtp-source; and far away, against one command at a time.

mod far;
mod postfix;

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::batch::write_rows;
use crate::measure::{Budget, Row, notifyctl, pairs, succeed, time};
use crate::ports::free_port;

const CONNECTIONS: usize = 8;

pub fn run() -> Vec<Row> {
    vec![small(), large(), into_postfix(), far::run()]
}

fn small() -> Row {
    const MAILS: usize = 40_000;
    let sink = Sink::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.ndjson");
    write_rows(&rows, MAILS);
    against_source(
        "SMTP, 300 B, into smtp-sink",
        &Load { rows, mails: MAILS, size: 300, port: sink.port },
        0.9,
    )
}

fn large() -> Row {
    const MAILS: usize = 15_000;
    let sink = Sink::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let rows = lines(folder.path(), MAILS, 10 * 1024);
    let load = Load { rows, mails: MAILS, size: 10 * 1024, port: sink.port };
    against_source("SMTP, 10 KiB, into smtp-sink", &load, 0.8)
}

fn into_postfix() -> Row {
    const MAILS: usize = 3_000;
    let work = "SMTP, 300 B, into a real Postfix";
    let postfix = match postfix::Postfix::start() {
        Ok(postfix) => postfix,
        Err(why) => return missing(work, &why, Budget::AtLeast(0.95)),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.ndjson");
    write_rows(&rows, MAILS);
    against_source(work, &Load { rows, mails: MAILS, size: 300, port: postfix.port }, 0.95)
}

/// A row that could not be measured.
fn missing(work: &str, why: &str, budget: Budget) -> Row {
    Row {
        work: work.into(),
        ours: "-".into(),
        floor: "missing".into(),
        against: why.into(),
        ratio: f64::NAN,
        budget,
    }
}

/// What both sides send.
struct Load {
    rows: PathBuf,
    mails: usize,
    /// Bytes of one message.
    size: usize,
    port: u16,
}

/// Whole passes in turn with smtp-source, over as many connections, which it keeps too (`-d`).
fn against_source(work: &str, load: &Load, least: f64) -> Row {
    let source = || {
        let mut source = Command::new("smtp-source");
        // -N: as many recipients as mails, as ours are; a relay remembers what it knows of the last one.
        source.args(["-N", "-d", "-s", &CONNECTIONS.to_string(), "-m", &load.mails.to_string()]);
        source.args(["-l", &load.size.to_string(), "-f", "bench@example.org", "-t", "user@example.org"]);
        source.arg(format!("127.0.0.1:{}", load.port));
        time(|| succeed(&mut source))
    };
    let (a, b, ratio) = pairs(5, || pass(&load.rows, load.port), source);
    let rate = |seconds: f64| format!("{:.0}/s", load.mails as f64 / seconds);
    Row {
        work: format!("{work}, {CONNECTIONS} connections"),
        ours: rate(a),
        floor: rate(b),
        against: "smtp-source, connections kept".into(),
        ratio: 1.0 / ratio,
        budget: Budget::AtLeast(least),
    }
}

/// How long a pass over `rows` takes, in seconds.
fn pass(rows: &Path, port: u16) -> f64 {
    let store = tempfile::tempdir().expect("a folder");
    let config = config(port);
    succeed(notifyctl(store.path(), &config).args(["enqueue", "--batch"]).arg(rows));
    let mut pass = notifyctl(store.path(), &config);
    pass.arg("send-pending");
    time(|| succeed(&mut pass))
}

/// Rows whose text has `size` bytes in lines as people write them.
fn lines(folder: &Path, rows: usize, size: usize) -> PathBuf {
    let line = format!("{}\\n", "x".repeat(70));
    let message = line.repeat(size / 71);
    let mut text = String::with_capacity(rows * (message.len() + 80));
    for n in 0..rows {
        writeln!(text, r#"{{"to":"user{n}@example.org","subject":"subject","message":"{message}"}}"#)
            .expect("memory");
    }
    let file = folder.join("rows.ndjson");
    std::fs::write(&file, text).expect("write the rows");
    file
}

/// A configuration whose one channel delivers to a port of this host.
fn config(port: u16) -> String {
    format!(
        "[defaults]\nchannel = \"relay\"\n[channels.relay]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n\
         tls = \"none\"\nfrom = \"bench@example.org\"\nmax_in_flight = {CONNECTIONS}\n"
    )
}

/// Postfix's smtp-sink on a port of its own; ended when dropped.
pub struct Sink {
    child: Child,
    port: u16,
}

impl Sink {
    /// A configuration whose one channel delivers to it.
    pub fn config(&self) -> String {
        config(self.port)
    }

    pub fn start(more: &[&str]) -> Self {
        let port = free_port();
        let child = Command::new("smtp-sink")
            .args(["-u", "nobody", "-m", "200"])
            .args(more)
            .args([&format!("127.0.0.1:{port}"), "1000"])
            .stdout(Stdio::null())
            .spawn()
            .expect("smtp-sink is in Debian's package postfix");
        let sink = Self { child, port };
        assert!(listens(port), "smtp-sink does not listen");
        sink
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether somebody takes connections there, within a while.
fn listens(port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
