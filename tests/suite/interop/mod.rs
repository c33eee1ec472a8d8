//! notifyctl and the mail servers that it will meet: each case is tried with each of them, through the binary, and
//! what was seen is the table of notifyctl(7).
//!
//! A case holds what is promised against what it sees, and fails where that is broken; what differs from server to
//! server is what it returns, for the table.

mod access;
mod content;
mod patience;
mod refusal;
mod site;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::table::Cell;
use crate::support::mail_server::postgrey::Postgrey;
use crate::support::mail_server::{Kind, MailServer};

/// What a server has that is not a mail server of its own.
struct Place {
    server: MailServer,
    _postgrey: Option<Postgrey>,
}

/// One row of the table.
struct Case {
    name: &'static str,
    /// What was seen; `None` where the server has nothing of the kind.
    look: fn(&MailServer) -> Option<Cell>,
}

/// In the order of the table.
const CASES: &[Case] = &[
    Case { name: "offers PIPELINING", look: |server| access::offers(server, "PIPELINING") },
    Case { name: "offers SMTPUTF8", look: |server| access::offers(server, "SMTPUTF8") },
    Case { name: "no TLS", look: access::plain },
    Case { name: "TLS required, absent", look: access::tls_missing },
    Case { name: "STARTTLS, AUTH PLAIN", look: |server| access::login(server, "plain") },
    Case { name: "STARTTLS, AUTH LOGIN", look: |server| access::login(server, "login") },
    Case { name: "TLS from the first byte", look: access::implicit },
    Case { name: "wrong certificate", look: access::wrong_name },
    Case { name: "wrong password", look: access::wrong_password },
    Case { name: "texts and files, equal", look: content::comes_back },
    Case { name: "same, nothing offered", look: content::comes_back_bare },
    Case { name: "recipient not ASCII", look: refusal::not_ascii },
    Case { name: "larger than SIZE", look: refusal::too_large },
    Case { name: "too large, not told", look: refusal::too_large_bare },
    Case { name: "one of many refused", look: refusal::one_of_many },
    Case { name: "one of many put off", look: refusal::one_of_many_for_now },
    Case { name: "greylisting", look: patience::greylisting },
    Case { name: "5 mails in 3 seconds", look: patience::rate },
    Case { name: "5 mails per connection", look: patience::connection },
    Case { name: "2 connections at once", look: patience::crowd },
];

/// How much of a server's log is shown when a case fails, in lines.
const LOG: usize = 20;

/// What cuts every connection, so it comes when the others are done.
const LAST: &str = "restarted in mid-pass";

#[test]
fn what_each_mail_server_does_is_what_the_page_says() {
    let columns: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = Kind::ALL.map(|kind| scope.spawn(move || column(kind))).into();
        running.into_iter().map(|thread| thread.join().expect("a column")).collect()
    });
    let names = CASES.iter().map(|case| case.name).chain([LAST]);
    let cells = |n: usize| columns.iter().map(|column| column[n].clone()).collect();
    let rows: Vec<_> = names.enumerate().map(|(n, name)| (name, cells(n))).collect();
    table::compare(&rows);
}

/// What was seen of one server, in the order of the table.
fn column(kind: Kind) -> Vec<Cell> {
    let server = MailServer::start(kind);
    let _postgrey = (kind == Kind::Postfix).then(|| Postgrey::start(&server));
    let mut place = Place { server, _postgrey };
    let mut cells: Vec<_> = std::thread::scope(|scope| {
        let server = &place.server;
        let looks: Vec<_> = CASES
            .iter()
            .map(|case| scope.spawn(move || seen(case.name, server, || (case.look)(server))))
            .collect();
        looks.into_iter().map(|thread| thread.join().expect("a cell")).collect()
    });
    let mut server = AssertUnwindSafe(&mut place.server);
    cells.push(match catch_unwind(move || patience::restart(&mut server)) {
        Ok(cell) => cell,
        Err(_) => failed(LAST, &place.server),
    });
    cells
}

fn seen(name: &str, server: &MailServer, look: impl FnOnce() -> Option<Cell>) -> Cell {
    match catch_unwind(AssertUnwindSafe(look)) {
        Ok(cell) => cell.unwrap_or_else(Cell::nothing),
        Err(_) => failed(name, server),
    }
}

#[expect(clippy::print_stderr, reason = "the panic that led here says nothing of the server")]
fn failed(name: &str, server: &MailServer) -> Cell {
    let log = server.log();
    let from = log.lines().count().saturating_sub(LOG);
    let end: Vec<_> = log.lines().skip(from).collect();
    eprintln!("FAILED: {name} with {}, which said at last:\n{}", server.kind.name(), end.join("\n"));
    Cell::failed()
}
