//! A whole pass over SMTP, from claim to settled, into Postfix's smtp-sink, against Postfix's smtp-source.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::batch::write_rows;
use crate::measure::{Budget, Row, notifyctl, pairs, succeed, time};

const MAILS: usize = 20_000;
const CONNECTIONS: usize = 8;

pub fn run() -> Vec<Row> {
    let sink = Sink::start();
    let address = format!("127.0.0.1:{}", sink.port);
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.ndjson");
    write_rows(&rows, MAILS);
    let config = sink.config();
    let ours = || {
        let store = tempfile::tempdir().expect("a folder");
        succeed(notifyctl(store.path(), &config).args(["enqueue", "--batch"]).arg(&rows));
        let mut pass = notifyctl(store.path(), &config);
        pass.arg("send-pending");
        time(|| succeed(&mut pass))
    };
    let source = || {
        let mut source = Command::new("smtp-source");
        // -d: connections are kept; the same size of message.
        source.args(["-d", "-s", &CONNECTIONS.to_string(), "-m", &MAILS.to_string(), "-l", "300"]);
        source.args(["-f", "bench@example.org", "-t", "user@example.org", &address]);
        time(|| succeed(&mut source))
    };
    let (a, b, ratio) = pairs(5, ours, source);
    let rate = |seconds: f64| format!("{:.0}/s", MAILS as f64 / seconds);
    vec![Row {
        work: format!("pass over SMTP, {CONNECTIONS} connections, {MAILS} mails"),
        ours: rate(a),
        floor: rate(b),
        ratio: 1.0 / ratio,
        budget: Budget::AtLeast(0.5),
    }]
}

/// Postfix's smtp-sink on a port of its own; ended when dropped.
pub struct Sink {
    child: Child,
    port: u16,
}

impl Sink {
    /// A configuration whose one channel delivers to it.
    pub fn config(&self) -> String {
        format!(
            "[defaults]\nchannel = \"relay\"\n[channels.relay]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\n\
             tls = \"none\"\nfrom = \"bench@example.org\"\nmax_in_flight = {CONNECTIONS}\n",
            self.port
        )
    }

    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let child = Command::new("smtp-sink")
            .args(["-u", "nobody", "-m", "200", &format!("127.0.0.1:{port}"), "1000"])
            .stdout(Stdio::null())
            .spawn()
            .expect("smtp-sink is in Debian's package postfix");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "smtp-sink does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
