//! What a server offers, and how it is spoken to: TLS, logins.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::site::Site;
use super::table::Cell;
use crate::support::mail_server::MailServer;

/// Whether the server offers the extension.
pub fn offers(server: &MailServer, extension: &str) -> Option<Cell> {
    Some(Cell::word(if is_offered(server.plain, extension) { "yes" } else { "no" }))
}

/// Whether it is offered at that port.
pub fn is_offered(port: u16, extension: &str) -> bool {
    hello(port).iter().any(|line| line.split(' ').next() == Some(extension))
}

/// What the server answers to EHLO.
pub fn hello(port: u16) -> Vec<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
    let mut reply = || -> Vec<String> {
        let mut reply = Vec::new();
        for line in lines.by_ref().map(|line| line.expect("a line")) {
            reply.push(line[4..].to_owned());
            if line.as_bytes()[3] == b' ' {
                break;
            }
        }
        reply
    };
    reply();
    (&stream).write_all(b"EHLO host.example.org\r\n").expect("write");
    let offered = reply();
    (&stream).write_all(b"QUIT\r\n").expect("write");
    offered
}

fn one(site: &Site) -> Option<Cell> {
    let id = site.enqueue("ops@example.org");
    site.pass();
    Some(site.cell(id))
}

/// Sends one, and holds the server to having got it over TLS.
fn one_over_tls(site: &Site) -> Option<Cell> {
    let id = site.enqueue("ops@example.org");
    site.pass();
    site.assert_sent_at_once(id);
    let mail = site.mail(id);
    let received = mail["received"].as_str().expect("the server's own line");
    assert!(received.contains("TLSv1.3") || received.contains("TLS1.3"), "{received}");
    Some(Cell::word("sent"))
}

/// Fails when anything but waiting came of it: it is the channel's trouble, whatever the server says.
fn waits(site: &Site) -> Option<Cell> {
    let id = site.enqueue("ops@example.org");
    let tally = site.pass();
    assert_eq!((&tally["sent"], &tally["dead"], &tally["left"]), (&0.into(), &0.into(), &1.into()));
    assert_eq!(site.get(id).retries, 0);
    Some(site.cell(id))
}

fn with_login(server: &MailServer, password: &str, auth: &str) -> String {
    let password = password.replace('"', "\\\"");
    format!(
        "tls = \"required\"\nca_file = \"{}\"\nuser = \"{}\"\npassword = \"{password}\"\nauth = \"{auth}\"\n",
        server.ca_file().display(),
        MailServer::USER
    )
}

pub fn plain(server: &MailServer) -> Option<Cell> {
    one(&Site::new(server, server.plain))
}

pub fn tls_missing(server: &MailServer) -> Option<Cell> {
    waits(&Site::with(server, server.plain, "tls = \"required\"\n"))
}

pub fn login(server: &MailServer, auth: &str) -> Option<Cell> {
    one_over_tls(&Site::with(server, server.submission, &with_login(server, MailServer::PASSWORD, auth)))
}

pub fn wrong_password(server: &MailServer) -> Option<Cell> {
    waits(&Site::with(server, server.submission, &with_login(server, "not this one", "auto")))
}

pub fn implicit(server: &MailServer) -> Option<Cell> {
    let keys = format!("tls = \"implicit\"\nca_file = \"{}\"\n", server.ca_file().display());
    one_over_tls(&Site::with(server, server.implicit, &keys))
}

pub fn wrong_name(server: &MailServer) -> Option<Cell> {
    let ca_file = server.ca_file();
    let keys = format!("host = \"127.0.0.1\"\ntls = \"implicit\"\nca_file = \"{}\"\n", ca_file.display());
    waits(&Site::with(server, server.implicit, &keys))
}
