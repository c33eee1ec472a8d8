//! What is recorded: commands as people run them, from the first one ever to a purge.

use std::fs;
use std::path::Path;
use std::process::Command;

use notifyctl::model::Status;
use notifyctl::store::{Filter, Order, Page};

use super::promise::{Promised, message_for, of_batch};
use super::trace::{Event, record};
use crate::support::Sandbox;

/// Something that happened, or was promised.
pub enum Step {
    Did(Event),
    Promised(Box<dyn Fn(&mut Promised)>),
}

/// Where the copy is made.
pub const COPY: &str = "copy.db";
/// The configuration that is replaced.
pub const SAMPLE: &str = "sample.toml";
/// What stands in it before.
pub const OLD_SAMPLE: &str = "# the old one\n";
/// What the recipients begin with whose time has not come.
pub const LATER: &str = "later";
/// Where the channel writes.
pub const SINK: &str = "sink.jsonl";

/// Where the other channel puts mails.
pub const BOX: &str = "box";

/// The configuration of a store whose two channels write into the same folder.
pub fn config(folder: &Path) -> String {
    format!(
        "[log]\nlevel = \"off\"\n[defaults]\nchannel = \"sink\"\n\
         [channels.sink]\nkind = \"file\"\nformat = \"jsonl\"\npath = \"{}\"\nmax_in_flight = 4\n\
         [channels.box]\nkind = \"file\"\npath = \"{}\"\nmax_in_flight = 2\n",
        folder.join(SINK).display(),
        folder.join(BOX).display()
    )
}

/// Commands that are recorded one after the other.
pub struct Workload<'a> {
    sandbox: &'a Sandbox,
    pub steps: Vec<Step>,
    pub commands: usize,
    enqueued: usize,
    batches: u64,
}

impl<'a> Workload<'a> {
    pub fn new(sandbox: &'a Sandbox) -> Self {
        Self { sandbox, steps: Vec::new(), commands: 0, enqueued: 0, batches: 0 }
    }

    /// One of each; `rounds` times what repeats.
    pub fn run(&mut self, rounds: usize) {
        (0..4).for_each(|_| self.enqueue());
        self.batch(12);
        self.pass();
        for _ in 0..rounds {
            self.side_by_side(5);
            self.cancel();
            // The log grows until a command moves it into the database file and takes it away.
            (0..12).for_each(|_| self.enqueue());
            self.batch(30);
            self.pass();
        }
        self.copy();
        self.purge();
        self.enqueue();
        self.replace_sample();
    }

    fn enqueue(&mut self) {
        let recipient = self.next_recipient();
        self.record(&["enqueue", "--json", "--to", &recipient, &message_for(&recipient)]);
    }

    fn batch(&mut self, rows: u64) {
        self.batches += 1;
        let row = |row| {
            let to = of_batch(self.batches, row);
            let channel = if to.contains('@') { "box" } else { "sink" };
            let message = message_for(&to);
            format!("{{\"channel\":\"{channel}\",\"to\":\"{to}\",\"message\":\"{message}\"}}\n")
        };
        // Beside the folder: its content is not what is recorded.
        let file = tempfile::NamedTempFile::new().expect("a file of our own");
        fs::write(file.path(), (0..rows).map(row).collect::<String>()).expect("write the batch");
        self.record(&[
            "enqueue",
            "--json",
            "--format",
            "ndjson",
            "--batch",
            file.path().to_str().expect("UTF-8"),
        ]);
    }

    fn pass(&mut self) {
        self.record(&["send-pending"]);
    }

    /// Shells that enqueue while a pass runs.
    fn side_by_side(&mut self, shells: usize) {
        let mut line = String::from("\"$0\" send-pending & ");
        for _ in 0..shells {
            let to = self.next_recipient();
            line.push_str(&format!("\"$0\" enqueue --json --to {to} '{}' & ", message_for(&to)));
        }
        line.push_str("\"$0\" send-pending & wait");
        let notifyctl = self.sandbox.notifyctl();
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(line).arg(notifyctl.get_program());
        shell.envs(notifyctl.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(self.sandbox.path());
        self.commands += shells + 2;
        self.steps.extend(record(&shell, self.sandbox.path()).into_iter().map(Step::Did));
    }

    fn cancel(&mut self) {
        self.enqueued += 1;
        let to = format!("{LATER}{}", self.enqueued);
        self.record(&["enqueue", "--json", "--to", &to, "--at", "2099-01-01T00:00:00Z", &message_for(&to)]);
        let id = self.sandbox.store().list(&Filter::default(), &newest()).expect("list")[0].id;
        self.record(&["cancel", &id.to_string()]);
        self.promise(move |promised| promised.cancelled.extend([to.clone()]));
    }

    fn copy(&mut self) {
        let expected = self.all(|_| true);
        let file = self.sandbox.path().join(COPY);
        self.record(&["db", "backup", file.to_str().expect("UTF-8")]);
        self.promise(move |promised| promised.copied = Some(expected.iter().cloned().collect()));
    }

    fn purge(&mut self) {
        let settled = self.all(Status::is_final);
        self.promise(move |promised| promised.purgeable.extend(settled.iter().cloned()));
        self.record(&["purge", "--older-than", "0s", "--json"]);
    }

    fn replace_sample(&mut self) {
        let file = self.sandbox.path().join(SAMPLE);
        self.record(&["config", "init", "--force", "--output", file.to_str().expect("UTF-8")]);
    }

    /// The recipients of what stands where `picks` says.
    fn all(&self, picks: impl Fn(Status) -> bool) -> Vec<String> {
        let page = Page { limit: 1_000, ..newest() };
        let rows = self.sandbox.store().list(&Filter::default(), &page).expect("list");
        assert!(rows.len() < 1_000, "more than a page");
        rows.into_iter().filter(|row| picks(row.status)).map(|row| row.recipient).collect()
    }

    fn record(&mut self, args: &[&str]) {
        let mut notifyctl = self.sandbox.notifyctl();
        notifyctl.args(args);
        self.commands += 1;
        self.steps.extend(record(&notifyctl, self.sandbox.path()).into_iter().map(Step::Did));
    }

    fn promise(&mut self, promise: impl Fn(&mut Promised) + 'static) {
        self.steps.push(Step::Promised(Box::new(promise)));
    }

    fn next_recipient(&mut self) -> String {
        self.enqueued += 1;
        format!("one{}", self.enqueued)
    }
}

fn newest() -> Page {
    Page { order: Order::NewestFirst, after: None, limit: 1 }
}
