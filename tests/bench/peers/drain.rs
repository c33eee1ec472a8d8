//! A queue of 10,000 mails, drained into Postfix's smtp-sink; fewer where a peer is slow, and rates are compared.

use std::process::Command;

use super::command::Msmtp;
use super::drivers::seconds;
use super::nullmailer::Nullmailer;
use super::postfix::Postfix;
use super::servers::{Sink, run as succeed};
use super::table::Unit;
use super::{Attempt, Choice, Peer, Work};
use crate::batch::write_rows;
use crate::measure::{Budget, notifyctl, time};
use crate::ports::free_port;

const MAILS: usize = 10_000;
const NULLMAILER_MAILS: usize = 1_000;
const MSMTP_MAILS: usize = 100;
/// Connections at once, ours and smtp-source's.
const CONNECTIONS: usize = 8;

pub fn run(choice: &Choice) -> Work<'_> {
    let mut work = Work {
        name: "drain",
        title: "A queue of 10,000 mails, drained into smtp-sink",
        unit: Unit::Rate,
        choice,
        lines: Vec::new(),
    };
    let input = tempfile::tempdir().expect("a folder");
    let rows = input.path().join("rows.ndjson");
    write_rows(&rows, MAILS);
    // One sink for the two that can keep it busy.
    let Ok(sink) = Sink::start() else { return work };
    let config = format!(
        "[defaults]\nchannel = \"relay\"\n[channels.relay]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\n\
         tls = \"none\"\nfrom = \"bench@example.org\"\nmax_in_flight = {CONNECTIONS}\n",
        sink.port()
    );
    let mut ours = || {
        let store = tempfile::tempdir().expect("a folder");
        succeed(notifyctl(store.path(), &config).args(["enqueue", "--batch"]).arg(&rows))?;
        seconds(notifyctl(store.path(), &config).arg("send-pending")).map(|took| MAILS as f64 / took)
    };
    work.against(FLOOR, &mut ours, || {
        let address = format!("127.0.0.1:{}", sink.port());
        Ok(move || {
            let mut source = Command::new("smtp-source");
            source.args(["-d", "-s", &CONNECTIONS.to_string(), "-m", &MAILS.to_string(), "-l", "300"]);
            source.args(["-f", "bench@example.org", "-t", "user@example.org", &address]);
            seconds(&mut source).map(|took| MAILS as f64 / took)
        })
    });
    work.against(POSTFIX, &mut ours, || {
        let sink = Sink::counting()?;
        let mut postfix = Postfix::holding(sink.port())?;
        Ok(move || {
            postfix.load(MAILS)?;
            let after = sink.mails() + MAILS;
            timed(MAILS, || postfix.drain(&sink, after))
        })
    });
    work.against(NULLMAILER, &mut ours, || {
        let sink = Sink::counting()?;
        let nullmailer = Nullmailer::new(sink.port())?;
        Ok(move || {
            for _ in 0..NULLMAILER_MAILS {
                succeed(&mut nullmailer.inject()?)?;
            }
            let after = sink.mails() + NULLMAILER_MAILS;
            timed(NULLMAILER_MAILS, || nullmailer.drain(&sink, after))
        })
    });
    work.against(MSMTP, &mut ours, || {
        let sink = Sink::counting()?;
        let msmtp = Msmtp::new()?;
        Ok(move || {
            // Nobody listens: they stay in the queue.
            msmtp.relay(free_port())?;
            for _ in 0..MSMTP_MAILS {
                succeed(&mut msmtp.enqueue()?)?;
            }
            msmtp.relay(sink.port())?;
            let before = sink.mails();
            let rate = timed(MSMTP_MAILS, || succeed(&mut msmtp.drain()?));
            match sink.mails() - before {
                MSMTP_MAILS => rate,
                other => Err(format!("msmtp-queue has sent {other} of {MSMTP_MAILS}")),
            }
        })
    });
    work
}

/// The rate of `count` in one call.
fn timed(count: usize, call: impl FnOnce() -> Attempt<()>) -> Attempt<f64> {
    let mut outcome = Ok(());
    let took = time(|| outcome = call());
    outcome.map(|()| count as f64 / took)
}

const FLOOR: Peer = Peer {
    name: "smtp-source",
    packages: &["postfix"],
    how: "8 connections, kept; no queue at all",
    budget: Some(Budget::AtLeast(0.9)),
    pairs: 7,
};
const POSTFIX: Peer = Peer {
    name: "Postfix's own queue",
    packages: &["postfix"],
    how: "flushed; up to 50 deliveries at once, connections kept, no look-ups",
    budget: Some(Budget::AtLeast(15.0)),
    pairs: 3,
};
const NULLMAILER: Peer = Peer {
    name: "nullmailer-send",
    packages: &["nullmailer"],
    how: "1,000; one after the other",
    budget: Some(Budget::AtLeast(80.0)),
    pairs: 3,
};
const MSMTP: Peer = Peer {
    name: "msmtp-queue -r",
    packages: &["msmtp"],
    how: "100; one after the other, not synced",
    budget: Some(Budget::AtLeast(500.0)),
    pairs: 3,
};
