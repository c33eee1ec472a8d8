//! What a server will not take, and what becomes of the others that go the same way.

use notifyctl::model::{Content, Id, Status};

use super::access::hello;
use super::site::Site;
use super::table::Cell;
use crate::support::mail_server::{Kind, MailServer};

/// One connection: whatever happens to one happens before the next one's eyes.
const IN_TURN: &str = "tls = \"none\"\nmax_in_flight = 1\n";

pub fn not_ascii(server: &MailServer) -> Option<Cell> {
    let site = Site::with(server, server.plain, IN_TURN);
    let ids = ["ops@example.org", "jürgen@example.org", "dev@example.org"].map(|to| site.enqueue(to));
    let (_, replaced) = site.pass_and_whether_a_connection_was_replaced();
    assert!(!replaced, "the connection was lost");
    others_were_sent(&site, &ids);
    if site.get(ids[1]).summary.status == Status::Sent {
        assert_eq!(site.mail(ids[1])["to"], "jürgen@example.org");
    } else {
        let last = site.story(ids[1]);
        assert!(last.contains("not ASCII"), "{last}");
    }
    Some(site.cell(ids[1]))
}

pub fn too_large(server: &MailServer) -> Option<Cell> {
    let (site, id) = large(server, server.plain);
    // Nothing was handed over.
    let words = site.story(id);
    assert!(words.contains(&format!("takes at most {}", MailServer::LIMIT)), "{words}");
    Some(site.cell(id))
}

/// OpenSMTPD always says how much it takes.
pub fn too_large_bare(server: &MailServer) -> Option<Cell> {
    if server.kind == Kind::OpenSmtpd {
        return None;
    }
    // Exim says SIZE there, and no number.
    assert!(!hello(server.ports().bare).iter().any(|line| line.starts_with("SIZE ")));
    let (site, id) = large(server, server.ports().bare);
    let words = site.story(id);
    assert!(words.contains("end of message: 55"), "{words}");
    Some(site.cell(id))
}

fn large(server: &MailServer, port: u16) -> (Site<'_>, Id) {
    let site = Site::with(server, port, IN_TURN);
    let sized = |size: usize| Content { message: "0123456789\n".repeat(size / 11), ..Content::default() };
    let ids =
        site.enqueue_contents(&[sized(100), sized(MailServer::LIMIT * 2), sized(MailServer::LIMIT / 2)]);
    site.pass();
    others_were_sent(&site, &ids);
    assert_eq!(site.get(ids[1]).summary.status, Status::Dead, "{}", site.story(ids[1]));
    (site, ids[1])
}

fn others_were_sent(site: &Site, ids: &[Id]) {
    site.assert_sent_at_once(ids[0]);
    site.assert_sent_at_once(ids[2]);
    assert_eq!(site.attempts(ids[1]).len(), 1, "{}", site.story(ids[1]));
}

pub fn one_of_many(server: &MailServer) -> Option<Cell> {
    many(server, "nobody@example.org")
}

pub fn one_of_many_for_now(server: &MailServer) -> Option<Cell> {
    many(server, "later@example.org")
}

/// A list of recipients, as the channel's own and as the command's: each has a notification of its own.
fn many(server: &MailServer, bad: &str) -> Option<Cell> {
    let recipients = ["a@example.org", "b@example.org", bad, "c@example.org", "d@example.org"];
    let to = format!("to = {recipients:?}\n");
    let site = Site::with(server, server.plain, &(IN_TURN.to_owned() + &to));
    site.sandbox.ok(&["enqueue", "by the channel's list"]);
    let mut command = vec!["enqueue"];
    recipients.iter().for_each(|to| command.extend(["--to", *to]));
    command.push("by the command's list");
    site.sandbox.ok(&command);
    site.pass();
    let is_bad = |id: &Id| site.get(*id).summary.recipient == bad;
    let (refused, others): (Vec<Id>, Vec<Id>) = (1..=10).partition(is_bad);
    assert_eq!(refused.len(), 2);
    others.iter().for_each(|id| site.assert_sent_at_once(*id));
    let cells: Vec<_> = refused.iter().map(|id| site.cell(*id)).collect();
    assert_eq!(cells[0], cells[1]);
    Some(cells[0].clone())
}
