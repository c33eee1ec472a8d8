//! Opens what a power cut left, as the next command does, and holds it against what had been promised.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::store::{self, Access, Options};
use rusqlite::{Connection, OpenFlags};

use super::promise::{Promised, message_for};
use super::workload::{BOX, COPY, LATER, OLD_SAMPLE, SAMPLE, SINK, config};
use crate::folder::{self, Content};
use crate::support::Sandbox;

/// What was found in how many states.
#[derive(Default)]
pub struct Found {
    /// States that were opened.
    pub states: u64,
    /// Of these, states in which a pass ran afterwards.
    pub passes: u64,
    /// States that lacked something acknowledged, or held other content.
    pub lost: u64,
    /// States that could not be opened, or that a check found unsound.
    pub unsound: u64,
    /// States with something `sent` that no receiver had.
    pub unbacked: u64,
    /// States with something delivered that nobody had claimed.
    pub unclaimed: u64,
    /// States with a copy or a configuration that was not whole under its final name.
    pub torn: u64,
    /// States after which a pass failed, or left something behind.
    pub stuck: u64,
    /// Notifications that a pass sent again although they had not been in flight.
    pub repeated: u64,
}

/// A folder in which states are rebuilt.
pub struct Judge<'a> {
    sandbox: &'a Sandbox,
    pub found: Found,
    /// How many more complaints are printed.
    words: u32,
}

/// Where each stands: (message, status) by recipient.
pub type Rows = BTreeMap<String, (String, String)>;

impl<'a> Judge<'a> {
    pub fn new(sandbox: &'a Sandbox) -> Self {
        Self { sandbox, found: Found::default(), words: 5 }
    }

    /// Judges one state; `mail` says whether a pass goes on with it.
    pub fn judge(&mut self, content: &Content, promised: &Promised, mail: bool, moment: &str) {
        self.found.states += 1;
        folder::write(self.sandbox.path(), content);
        self.sandbox.configure(&config(self.sandbox.path()));
        reboot(self.sandbox);
        let sound = self.open();
        let rows = match sound.and_then(|()| rows(&self.sandbox.db()).map_err(|error| error.to_string())) {
            Ok(rows) => rows,
            Err(error) => {
                self.found.unsound += 1;
                return self.complain(moment, "unsound", &error);
            }
        };
        if let Some(lost) = lost(&rows, promised) {
            self.found.lost += 1;
            self.complain(moment, "lost", &lost);
        }
        let delivered = self.delivered();
        let stands = |to: &str, words: &[&str]| {
            rows.get(to).is_some_and(|(_, status)| words.contains(&status.as_str()))
        };
        if let Some(to) = rows.keys().find(|to| stands(to, &["sent"]) && !delivered.contains_key(*to)) {
            self.found.unbacked += 1;
            self.complain(moment, "sent, and nobody has it", to);
        }
        let unclaimed = |to: &&String| !stands(to, &["sending", "sent"]) && !promised.purgeable.contains(*to);
        if let Some(to) = delivered.keys().find(unclaimed) {
            self.found.unclaimed += 1;
            self.complain(moment, "delivered, and not on record", to);
        }
        if let Err(error) = self.look_at_files(promised) {
            self.found.torn += 1;
            self.complain(moment, "not whole", &error);
        }
        if mail {
            self.mail(&rows, &delivered, promised, moment);
        }
    }

    /// As the next command does.
    fn open(&self) -> Result<(), String> {
        let url = format!("sqlite://{}", self.sandbox.db().display()).parse().expect("a URL");
        let options = Options { url, busy_timeout: Duration::from_secs(5) };
        let store =
            store::open(&options, Access::Create, SystemClock.now()).map_err(|error| error.to_string())?;
        let findings = store.check().map_err(|error| error.to_string())?;
        match findings.first() {
            Some(finding) => Err(format!("{}: {}", finding.check, finding.what)),
            None => Ok(()),
        }
    }

    /// How often each recipient was told.
    fn delivered(&self) -> BTreeMap<String, u32> {
        let mut delivered = BTreeMap::new();
        let text = fs::read(self.sandbox.path().join(SINK)).unwrap_or_default();
        for line in text.split(|byte| *byte == b'\n') {
            // What was torn is no delivery.
            let Ok(line) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
            *delivered.entry(line["recipient"].as_str().expect("a recipient").to_owned()).or_default() += 1;
        }
        for mail in fs::read_dir(self.sandbox.path().join(BOX).join("new")).into_iter().flatten() {
            let mail = fs::read_to_string(mail.expect("an entry").path()).unwrap_or_default();
            if let Some(to) = mail.lines().find_map(|line| line.strip_prefix("To: ")) {
                *delivered.entry(to.to_owned()).or_default() += 1;
            }
        }
        delivered
    }

    fn look_at_files(&self, promised: &Promised) -> Result<(), String> {
        let sample = fs::read_to_string(self.sandbox.path().join(SAMPLE));
        let new = include_str!("../../../etc/notifyctl.toml");
        if sample.is_ok_and(|sample| sample != OLD_SAMPLE && sample != new) {
            return Err(format!("{SAMPLE} is half of one"));
        }
        let copy = self.sandbox.path().join(COPY);
        match (copy.exists(), &promised.copied) {
            (false, None) => Ok(()),
            (false, Some(_)) => Err(format!("{COPY} is gone")),
            (true, copied) => {
                let rows = integrity(&copy)
                    .and_then(|()| rows(&copy))
                    .map_err(|error| format!("{COPY}: {error}"))?;
                let lacks = copied.iter().flatten().find(|to| !rows.contains_key(*to));
                lacks.map_or(Ok(()), |to| Err(format!("{COPY} lacks {to}")))
            }
        }
    }

    /// The machine is up again, and cron starts a pass.
    fn mail(&mut self, before: &Rows, delivered: &BTreeMap<String, u32>, promised: &Promised, moment: &str) {
        self.found.passes += 1;
        let mut pass = self.sandbox.notifyctl();
        let output = pass.arg("send-pending").stdin(Stdio::null()).output().expect("run notifyctl");
        let after = rows(&self.sandbox.db()).unwrap_or_default();
        let told = self.delivered();
        let is = |rows: &Rows, to: &str, word: &str| rows.get(to).is_some_and(|(_, status)| status == word);
        let waited = |to: &String| is(before, to, "pending") && !to.starts_with(LATER);
        let settled = |to: &String| ["sent", "pending", "cancelled"].iter().any(|word| is(&after, to, word));
        let left = promised
            .accepted
            .iter()
            .find(|to| before.contains_key(*to) && !settled(to) || waited(to) && !told.contains_key(*to));
        if !output.status.success() || left.is_some() || self.open().is_err() {
            self.found.stuck += 1;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            self.complain(moment, "a pass afterwards", &format!("{}, {left:?}, {said}", output.status));
        }
        for (to, times) in &told {
            let again = *times > delivered.get(to).copied().unwrap_or(0) && delivered.contains_key(to);
            if again && before.get(to).is_some_and(|(_, status)| status != "sending") {
                self.found.repeated += 1;
                self.complain(moment, "sent again", to);
            }
        }
    }

    fn complain(&mut self, moment: &str, what: &str, detail: &str) {
        if self.words > 0 {
            self.words -= 1;
            println!("power: {moment}: {what}: {detail}");
        }
    }

    /// Says nothing more: what a control finds is what it is for.
    pub fn quiet(mut self) -> Self {
        self.words = 0;
        self
    }
}

/// Something acknowledged that is not there as it was.
fn lost(rows: &Rows, promised: &Promised) -> Option<String> {
    let there = |to: &String| match rows.get(to) {
        Some((message, status)) => {
            *message == message_for(to) && (status == "cancelled" || !promised.cancelled.contains(to))
        }
        None => promised.purgeable.contains(to),
    };
    promised.accepted.iter().find(|to| !there(to)).map(|to| format!("{to}: {:?}", rows.get(to)))
}

/// What a database of notifications holds.
pub fn rows(path: &Path) -> rusqlite::Result<Rows> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut query = connection.prepare("SELECT recipient, message, status FROM notifications")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    rows.collect()
}

/// SQLite's own word that the file is whole.
pub fn integrity(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let answer: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    match answer.as_str() {
        "ok" => Ok(()),
        _ => Err(rusqlite::Error::InvalidParameterName(answer)),
    }
}

/// The workers' files belong to another boot now.
fn reboot(sandbox: &Sandbox) {
    let mut folder = sandbox.db().into_os_string();
    folder.push(".workers");
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let mut bytes = fs::read(&path).expect("a worker's file");
        let boot = bytes.len().min(16);
        bytes[..boot].fill(0xA5);
        fs::write(&path, bytes).expect("write the worker's file");
    }
}

/// Whether something is missing that a bare writer told of, and whether its file is damaged.
pub fn bare(path: &Path, told: &BTreeSet<String>) -> (bool, bool) {
    match integrity(path).and_then(|()| rows(path)) {
        Ok(rows) => (told.iter().any(|to| !rows.contains_key(to)), false),
        // No file, or no table, yet: lost, and not damaged.
        Err(rusqlite::Error::SqliteFailure(code, _)) => {
            use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
            (true, matches!(code.code, DatabaseCorrupt | NotADatabase))
        }
        Err(_) => (true, true),
    }
}
