//! One host that sends to one port of a mail server, and what became of what it sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use notifyctl::model::{Content, Id, NewNotification, Outcome, Status, stable_id};
use notifyctl::store::{Attempt, Notification};
use serde_json::Value;

use super::table::Cell;
use crate::postfix::read_back;
use crate::support::Sandbox;
use crate::support::mail_server::MailServer;
use crate::support::queue::{Queue, plain};

/// A store and a channel `relay`.
pub struct Site<'a> {
    pub sandbox: Sandbox,
    server: &'a MailServer,
}

impl<'a> Site<'a> {
    /// One whose channel goes to `port`, without TLS.
    pub fn new(server: &'a MailServer, port: u16) -> Self {
        Self::with(server, port, "tls = \"none\"\n")
    }

    /// One whose channel is configured further by `keys`.
    pub fn with(server: &'a MailServer, port: u16, keys: &str) -> Self {
        let sandbox = Sandbox::new();
        // The server's certificate is for this name, unless `keys` says another.
        let host = if keys.contains("host =") { "" } else { "host = \"localhost\"\n" };
        sandbox.configure(&format!(
            "[defaults]\nchannel = \"relay\"\n[channels.relay]\nkind = \"smtp\"\n{host}port = {port}\n\
             from = \"notifyctl@example.org\"\n{keys}"
        ));
        Self { sandbox, server }
    }

    /// One that goes on with what another has left.
    pub fn over(server: &'a MailServer, sandbox: Sandbox) -> Self {
        Self { sandbox, server }
    }

    /// Enqueues a few words for `to`.
    pub fn enqueue(&self, to: &str) -> Id {
        let id = self.sandbox.ok(&["enqueue", "--to", to, "--subject", "disk full", "The disk is full."]);
        id.trim().parse().expect("an id")
    }

    /// Enqueues these; for `Ops` what is for nobody.
    pub fn enqueue_contents(&self, contents: &[Content]) -> Vec<Id> {
        let mut queue = Queue::new(&self.sandbox);
        let new = |content: &Content| {
            let mut content = content.clone();
            if content.recipient.is_empty() {
                content.recipient = "Ops <ops@example.org>".into();
            }
            NewNotification { content, ..plain("relay", "") }
        };
        contents.iter().map(|content| queue.enqueue(new(content))).collect()
    }

    /// A pass, to its end: its tally.
    pub fn pass(&self) -> Value {
        Self::tally(self.start_pass())
    }

    /// A pass, and whether it had to replace a connection that a mail had already gone through.
    pub fn pass_and_whether_a_connection_was_replaced(&self) -> (Value, bool) {
        let mut pass = self.sandbox.notifyctl();
        pass.args(["send-pending", "--json", "--fail-on", "never", "--log-level", "debug"]);
        let output = pass.output().expect("a pass");
        let said = String::from_utf8_lossy(&output.stderr);
        (serde_json::from_slice(&output.stdout).expect("a tally"), said.contains("opening another"))
    }

    /// A pass that is under way.
    pub fn start_pass(&self) -> Child {
        let mut pass = self.sandbox.notifyctl();
        pass.args(["send-pending", "--json", "--fail-on", "never"]);
        pass.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a pass")
    }

    /// The tally of a pass, once it has ended.
    pub fn tally(pass: Child) -> Value {
        let output = pass.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {stderr}", output.status);
        serde_json::from_slice(&output.stdout).expect("a tally")
    }

    /// Passes until nothing is pending any more, as cron makes them, and how many it took.
    pub fn passes_until_settled(&self, most: usize) -> usize {
        let at_most = (1..=most).find(|_| {
            if self.pass()["left"] == 0 {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(500));
            false
        });
        at_most
            .unwrap_or_else(|| panic!("something is still pending after {most} passes: {:?}", self.stories()))
    }

    /// The notification as it stands.
    pub fn get(&self, id: Id) -> Notification {
        self.sandbox.store().get(id).expect("read").expect("there")
    }

    /// Its attempts.
    pub fn attempts(&self, id: Id) -> Vec<Attempt> {
        self.sandbox.store().attempts(id).expect("read")
    }

    /// Where it stands and why, in words; the other side's at last.
    pub fn story(&self, id: Id) -> String {
        let last = self.attempts(id).pop();
        format!("{:?}: {}", self.cell(id), last.map(|attempt| attempt.detail).unwrap_or_default())
    }

    fn stories(&self) -> Vec<String> {
        let all = 1..=self.sandbox.accepted();
        all.map(|id| self.story(Id::try_from(id).expect("small"))).collect()
    }

    /// Where it stands and, unless it was sent, why.
    pub fn cell(&self, id: Id) -> Cell {
        let row = self.get(id).summary;
        let word = match row.status {
            Status::Pending => "waits",
            status => status.as_str(),
        };
        match row.reason {
            Some(reason) if row.status != Status::Sent => Cell::because(word, reason),
            _ => Cell::word(word),
        }
    }

    /// Fails unless it was sent at the first attempt.
    pub fn assert_sent_at_once(&self, id: Id) {
        let found = (self.get(id).summary.status, self.attempts(id).len());
        assert_eq!(found, (Status::Sent, 1), "{}", self.story(id));
    }

    /// Fails when anything is lost, dead, sent twice, or has used up a retry; says how many attempts there were.
    pub fn assert_all_sent_without_a_retry(&self, ids: &[Id]) -> usize {
        for id in ids {
            let row = self.get(*id);
            assert_eq!((row.summary.status, row.retries), (Status::Sent, 0), "{}", self.story(*id));
            let sent = self.attempts(*id).iter().filter(|a| a.outcome == Some(Outcome::Sent)).count();
            assert_eq!(sent, 1);
        }
        let mails = self.mails(ids);
        ids.iter().for_each(|id| assert_eq!(mails[id].len(), 1, "copies of {id}"));
        ids.iter().map(|id| self.attempts(*id).len()).sum()
    }

    /// The mails of these, once each has arrived at least once.
    pub fn mails(&self, ids: &[Id]) -> BTreeMap<Id, Vec<PathBuf>> {
        let identity = self.sandbox.store().identity().expect("read");
        let name = |id: Id| format!("<{}@{}>", stable_id(&identity.store_id, id), identity.message_domain);
        let wanted: BTreeMap<String, Id> = ids.iter().map(|id| (name(*id), *id)).collect();
        self.server.wait_for("each mail has arrived", || {
            let mut found: BTreeMap<Id, Vec<PathBuf>> = BTreeMap::new();
            for path in self.server.arrived() {
                let raw = std::fs::read(&path).expect("read a mail");
                let text = String::from_utf8_lossy(&raw);
                let message_id = text.lines().find_map(|line| line.strip_prefix("Message-ID: "));
                if let Some(id) = message_id.and_then(|id| wanted.get(id.trim())) {
                    found.entry(*id).or_default().push(path);
                }
            }
            (found.len() == ids.len()).then_some(found)
        })
    }

    /// The only mail of `id` as Python's `email` reads it.
    pub fn mail(&self, id: Id) -> Value {
        let paths = &self.mails(&[id])[&id];
        assert_eq!(paths.len(), 1, "copies");
        read_back(paths).into_iter().next().expect("a mail").1
    }
}
