//! Whether what arrives is what was enqueued.

use super::access::is_offered;
use super::site::Site;
use super::table::Cell;
use crate::postfix::{assert_equal, odd_contents, read_back};
use crate::support::mail_server::{Kind, MailServer};

pub fn comes_back(server: &MailServer) -> Option<Cell> {
    from(server, server.plain)
}

/// OpenSMTPD cannot be told to offer less than it does; that is little.
pub fn comes_back_bare(server: &MailServer) -> Option<Cell> {
    if server.kind == Kind::OpenSmtpd {
        return None;
    }
    for extension in ["PIPELINING", "SMTPUTF8"] {
        assert!(!is_offered(server.ports().bare, extension), "{extension}");
    }
    from(server, server.ports().bare)
}

fn from(server: &MailServer, port: u16) -> Option<Cell> {
    let site = Site::new(server, port);
    let contents = odd_contents();
    let ids = site.enqueue_contents(&contents);
    site.pass();
    ids.iter().for_each(|id| site.assert_sent_at_once(*id));
    for (id, paths) in site.mails(&ids) {
        assert_eq!(paths.len(), 1, "copies of {id}");
        let (_, mail) = read_back(&paths).into_iter().next().expect("a mail");
        let content = &contents[ids.iter().position(|one| *one == id).expect("one of ours")];
        assert_equal(&mail, content);
    }
    Some(Cell::word("sent"))
}
