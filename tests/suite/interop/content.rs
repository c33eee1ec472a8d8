//! Whether what arrives is what was enqueued.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::site::Site;
use super::table::Cell;
use crate::postfix::{odd_contents, read_back};
use crate::support::mail_server::{Kind, MailServer};

pub fn comes_back(server: &MailServer) -> Option<Cell> {
    from(server, server.plain)
}

/// OpenSMTPD cannot be told to offer less than it does; that is little.
pub fn comes_back_bare(server: &MailServer) -> Option<Cell> {
    (server.kind != Kind::OpenSmtpd).then(|| from(server, server.ports().bare))?
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
        assert_eq!(mail["text"], content.message, "{id}");
        assert_eq!(mail["html"].as_str(), content.html.as_deref(), "{id}");
        assert_eq!(mail["subject"].as_str(), content.subject.as_deref(), "{id}");
        assert_eq!(mail["to"], "Ops <ops@example.org>");
        assert_eq!(mail["defects"], json!([]), "{id}");
        assert_eq!(mail["files"].as_object().expect("files").len(), content.attachments.len());
        for file in &content.attachments {
            assert_eq!(mail["files"][&file.name], STANDARD.encode(&file.content), "{}", file.name);
        }
    }
    Some(Cell::word("sent"))
}
