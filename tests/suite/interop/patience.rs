//! Servers that ask for patience, or are away for a while: the channel waits, and nothing is lost.

use std::time::Duration;

use notifyctl::model::{Id, Outcome, Reason, Status};

use super::site::Site;
use super::table::Cell;
use crate::support::mail_server::postgrey::Postgrey;
use crate::support::mail_server::{Kind, MailServer};

/// postgrey behind Postfix; Exim's own `seen`. OpenSMTPD has nothing of the kind.
pub fn greylisting(server: &MailServer) -> Option<Cell> {
    if server.kind == Kind::OpenSmtpd {
        return None;
    }
    let site = Site::new(server, server.ports().greylisting);
    let ids = ["a@example.org", "b@example.org"].map(|to| site.enqueue(to));
    let tally = site.pass();
    assert_eq!((&tally["deferred"], &tally["dead"]), (&2.into(), &0.into()), "{tally}");
    for id in ids {
        let row = site.get(id).summary;
        assert_eq!(
            (row.status, row.reason),
            (Status::Pending, Some(Reason::Greylisted)),
            "{}",
            site.story(id)
        );
    }
    // Not before the server's time, and it is not asked again too early.
    assert_eq!(site.pass()["deferred"], 0);
    std::thread::sleep(Duration::from_secs(Postgrey::DELAY + 1));
    minutes_go_by(&site);
    let tally = site.pass();
    assert_eq!((&tally["sent"], &tally["left"]), (&2.into(), &0.into()), "{tally}");
    ids.iter().for_each(|id| assert_eq!((site.attempts(*id).len(), site.get(*id).retries), (2, 1)));
    Some(Cell::because("later", Reason::Greylisted))
}

/// What the store has put off is due, as it would be a while later.
fn minutes_go_by(site: &Site) {
    let store = rusqlite::Connection::open(site.sandbox.db()).expect("open the store");
    store
        .execute("UPDATE notifications SET next_attempt_at = next_attempt_at - 3600000", [])
        .expect("update");
}

/// anvil in Postfix, `ratelimit` in Exim.
pub fn rate(server: &MailServer) -> Option<Cell> {
    if server.kind == Kind::OpenSmtpd {
        return None;
    }
    let site = Site::with(server, server.ports().limited, "tls = \"none\"\nmax_in_flight = 2\n");
    let (ids, passes) = twelve_too_fast(&site);
    assert!(passes > 1, "nothing was left to a second pass");
    Some(Cell::because("later", why_put_off(&site, &ids)))
}

/// Sends twelve, and twelve again where a machine so busy that they were slow enough for the server has got rid of them all:
/// until it has put some off. Gives those, and how many passes they took.
fn twelve_too_fast(site: &Site) -> (Vec<Id>, usize) {
    for _ in 0..10 {
        let ids: Vec<Id> = (0..12).map(|n| site.enqueue(&format!("user{n}@example.org"))).collect();
        let passes = site.passes_until_settled(100);
        if site.assert_all_sent_without_a_retry(&ids) > ids.len() {
            return (ids, passes);
        }
    }
    panic!("the server has refused nothing")
}

/// The one reason for which they were put off.
fn why_put_off(site: &Site, ids: &[Id]) -> Reason {
    let attempts = ids.iter().flat_map(|id| site.attempts(*id));
    let mut reasons: Vec<_> = attempts.filter_map(|attempt| attempt.reason).collect();
    reasons.retain(|reason| *reason != Reason::Accepted);
    reasons.dedup();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons[0]
}

/// OpenSMTPD counts the mails of a connection.
pub fn connection(server: &MailServer) -> Option<Cell> {
    if server.kind != Kind::OpenSmtpd {
        return None;
    }
    let site = Site::with(server, server.plain, "tls = \"none\"\nmax_in_flight = 1\n");
    let ids: Vec<Id> = (0..12).map(|n| site.enqueue(&format!("user{n}@example.org"))).collect();
    let (tally, replaced) = site.pass_and_whether_a_connection_was_replaced();
    assert_eq!((&tally["sent"], replaced), (&12.into(), true), "{tally}");
    assert_eq!(site.assert_all_sent_without_a_retry(&ids), ids.len());
    Some(Cell::word("sent"))
}

pub fn crowd(server: &MailServer) -> Option<Cell> {
    if server.kind == Kind::OpenSmtpd {
        return None;
    }
    let site = Site::with(server, server.ports().crowded, "tls = \"none\"\nmax_in_flight = 4\n");
    let (ids, _) = twelve_too_fast(&site);
    Some(Cell::because("later", why_put_off(&site, &ids)))
}

/// The server is stopped while a pass runs, and is there again a little later.
pub fn restart(server: &mut MailServer) -> Cell {
    const COUNT: usize = 300;
    const IN_FLIGHT: usize = 4;
    let batch: String =
        (0..COUNT).map(|n| format!("{{\"to\":\"user{n}@example.org\",\"message\":\"No. {n}\"}}\n")).collect();
    // The pass takes seven seconds at least, so that it is under way when the server is stopped.
    let keys = format!("tls = \"none\"\nretry = \"1s*5\"\nrate = \"40/1s\"\nmax_in_flight = {IN_FLIGHT}\n");
    let (sandbox, pass) = {
        let site = Site::with(server, server.plain, &keys);
        let before = server.arrived().len();
        std::fs::write(site.sandbox.path().join("rows.ndjson"), batch).expect("write");
        site.sandbox.ok(&["enqueue", "--batch", "rows.ndjson"]);
        let pass = site.start_pass();
        server.wait_for("some have arrived", || (server.arrived().len() > before + 20).then_some(()));
        (site.sandbox, pass)
    };
    server.stop();
    let tally = Site::tally(pass);
    let left = tally["left"].as_u64().expect("a number");
    assert!(left > 0, "the pass was done before the server was stopped");
    server.start_again();
    let site = Site::over(server, sandbox);
    site.passes_until_settled(100);
    let ids: Vec<Id> = (1..=COUNT as Id).collect();
    for id in &ids {
        // Who had said RCPT when the line was cut has used up a retry; one, for the next one found the channel waiting.
        assert!(site.get(*id).retries <= 1, "{}", site.story(*id));
        assert_eq!(site.get(*id).summary.status, Status::Sent, "{}", site.story(*id));
    }
    // Nobody saw the end of what was between its last byte and the answer: of each connection one.
    let is_unknown = |id: &Id| site.attempts(*id).iter().any(|a| a.outcome == Some(Outcome::Unknown));
    let (unknown, known): (Vec<Id>, Vec<Id>) = ids.iter().partition(|id| is_unknown(id));
    assert!(unknown.len() <= IN_FLIGHT, "{} ends were not seen", unknown.len());
    // Nothing else is handed over twice; a server that was killed may deliver twice what it got once.
    for id in known {
        let sent = site.attempts(id).iter().filter(|a| a.outcome == Some(Outcome::Sent)).count();
        assert_eq!(sent, 1, "{id}");
    }
    // Each has arrived.
    site.mails(&ids);
    Cell::word("later")
}
