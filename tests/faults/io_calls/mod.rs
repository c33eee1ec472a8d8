//! Every call on a file fails once: the first, the second, the third … until a command passes without having met it.
//!
//! After each the command was either done or not done, as its exit code says; it says where, what and what to do; and
//! the same command without the fault goes well. What a pass delivered is on record, and is not delivered again.
//!
//! The control is a pass that dies in such a call: what it had delivered and not put on record must be seen.
//!
//! The short form takes some of the calls of each command, the whole form all.

mod inject;
mod ordeal;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use self::inject::{DEATH, FAULTS, Fault, Outcome};
use self::ordeal::{After, Ordeal, SECRET};
use crate::finding::Finding;
use crate::folder::{self, Content};
use crate::ground::Ground;
use crate::power::rows;
use crate::receiver::Receiver;
use crate::support::Sandbox;

/// What was found.
#[derive(Default)]
struct Found {
    injected: u64,
    /// Commands that said otherwise than the store does.
    disagree: u64,
    /// Commands that left something half-done, or a store that a check finds unsound.
    half: u64,
    /// Commands that failed with an exit code that is for something else.
    code: u64,
    /// Commands that failed without saying where, what and what to do.
    unclear: u64,
    panicked: u64,
    leaked: u64,
    /// Commands that failed without the fault, afterwards.
    stuck: u64,
    /// Notifications that were delivered more than once, or that are on record as sent and were not delivered.
    wrong: u64,
    /// How often each ended how.
    ends: BTreeMap<i32, u64>,
    words: u32,
}

/// See the module.
pub fn scenario(ground: &Ground) -> Vec<Finding> {
    let receiver = Receiver::start(Duration::from_millis(2));
    let sandbox = ground.sandbox_within(&crate::power::memory(), |folder| ordeal::config(folder, &receiver));
    let empty = folder::read(sandbox.path());
    ordeal::prepare(&sandbox);
    let prepared = folder::read(sandbox.path());
    let mut random = ground.random();
    let mut bench = Bench {
        sandbox: &sandbox,
        receiver: &receiver,
        of_the_loader: BTreeMap::new(),
        found: Found::default(),
    };
    for ordeal in ordeal::all(&sandbox) {
        let content = if ordeal.store { &prepared } else { &empty };
        for fault in FAULTS {
            // The short form takes some, and others the next time.
            if ground.scale(random.usize(..3) == 0, true) {
                bench.series(&ordeal, content, fault, || ground.scale(random.usize(6..20), 1));
            }
        }
    }
    let control = bench.control(&prepared, ground.scale(3, 1));
    let Found { injected, disagree, half, code, unclear, panicked, leaked, stuck, wrong, ends, .. } =
        bench.found;
    let ends: Vec<_> = ends.into_iter().map(|(code, times)| format!("{code}: {times}")).collect();
    vec![
        Finding::at_least("calls that failed", injected, ground.scale(50, 1_000)),
        Finding::counted("how the commands ended (exit code: times)", ends.join(", ")),
        Finding::none("exit code and store disagree", disagree),
        Finding::none("half-done, or unsound", half),
        Finding::none("an exit code that is for something else", code),
        Finding::none("no word on where, what and what to do", unclear),
        Finding::none("panics", panicked),
        Finding::none("secrets told", leaked),
        Finding::none("failed afterwards without the fault", stuck),
        Finding::none("delivered and not on record, or the other way round, or twice", wrong),
        Finding::at_least("control, a pass that dies: delivered and not on record", control, 1),
    ]
}

struct Bench<'a> {
    sandbox: &'a Sandbox,
    receiver: &'a Receiver,
    /// How many such calls the loader makes, by call.
    of_the_loader: BTreeMap<&'static str, usize>,
    found: Found,
}

impl Bench<'_> {
    /// Lets one call after the other fail, `step` calls apart, until a run passes without that.
    fn series(&mut self, ordeal: &Ordeal, content: &Content, fault: Fault, mut step: impl FnMut() -> usize) {
        let mut command = self.sandbox.notifyctl();
        command.args(&ordeal.args);
        let files = ordeal::files(self.sandbox);
        let files: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
        // Beside the folder: it is no part of what is put back.
        let out = tempfile::NamedTempFile::new().expect("a file of our own");
        folder::write(self.sandbox.path(), content);
        let of_the_loader = match fault.only_files {
            true => 0,
            false => *self
                .of_the_loader
                .entry(fault.call)
                .or_insert_with(|| inject::of_the_loader(&command, fault.call, out.path())),
        };
        let mut n = of_the_loader + 1;
        loop {
            folder::write(self.sandbox.path(), content);
            let seen = self.receiver.count();
            let outcome = inject::run(&command, fault, n, &files, out.path());
            if outcome.struck.is_empty() {
                return;
            }
            let what = format!("{}, {} {n} {}", ordeal.name, fault.call, fault.error);
            self.judge(ordeal, &outcome, seen, &what, &out.path().display().to_string());
            n += step();
        }
    }

    /// What is found wrong after passes that died at every `stride`th write.
    fn control(&self, content: &Content, stride: usize) -> u64 {
        let mut bench = Bench {
            found: Found { words: u32::MAX, ..Found::default() },
            of_the_loader: BTreeMap::new(),
            ..*self
        };
        let ordeal = ordeal::all(self.sandbox).swap_remove(3);
        let mut command = self.sandbox.notifyctl();
        command.args(&ordeal.args);
        let out = tempfile::NamedTempFile::new().expect("a file of our own");
        let death = Fault { call: "pwrite64", error: DEATH, only_files: false };
        for n in (6..40).step_by(stride) {
            folder::write(self.sandbox.path(), content);
            let seen = self.receiver.count();
            let outcome = inject::run(&command, death, n, &[], out.path());
            if outcome.code != Some(0) {
                bench.recover(&ordeal, 0, false, seen, "");
            }
        }
        bench.found.wrong
    }

    fn judge(&mut self, ordeal: &Ordeal, outcome: &Outcome, seen: usize, what: &str, out: &str) {
        self.found.injected += 1;
        let Outcome { struck, code, stderr } = outcome;
        let code = code.unwrap_or(-1);
        *self.found.ends.entry(code).or_default() += 1;
        let ended = format!("{what}: exit {code}: {stderr}");
        // What was done and could not be told: it says so.
        let untold = struck.iter().any(|call| call.contains(out)) && stderr.contains("standard output");
        let after = self.after(&ended);
        match ordeal.done.map(|done| done(&after)) {
            Some(Ok(done)) if done != (code == 0) && !untold => {
                self.found.disagree += 1;
                self.complain("disagree", &ended);
            }
            Some(Err(half)) => {
                self.found.half += 1;
                self.complain(&half, &ended);
            }
            _ => {}
        }
        // To SQLite a page of the store that cannot be read is a damaged store.
        let damaged = code == 65 && stderr.contains("malformed");
        // 66: a batch that cannot be opened.
        if !matches!(code, 0 | 66 | 73 | 74 | 75 | 78) && !damaged {
            self.found.code += 1;
            self.complain("exit code", &ended);
        }
        let clear = stderr.contains("notifyctl: hint: ") && stderr.contains('/') || untold;
        if code != 0 && !clear {
            self.found.unclear += 1;
            self.complain("unclear", &ended);
        }
        if stderr.contains("panicked") {
            self.found.panicked += 1;
            self.complain("panic", &ended);
        }
        if stderr.contains(SECRET) {
            self.found.leaked += 1;
            self.complain("secret", &ended);
        }
        self.recover(ordeal, code, untold, seen, &ended);
    }

    /// What is there now; a check of it goes before.
    fn after(&mut self, ended: &str) -> After<'_> {
        if self.sandbox.db().exists() {
            let check = self.sandbox.notifyctl().args(["db", "check"]).output().expect("run notifyctl");
            // A store that was not made to its end is made by the next one who writes.
            let unmade = String::from_utf8_lossy(&check.stderr).contains("not one of notifyctl's");
            if !check.status.success() && !unmade {
                self.found.half += 1;
                self.complain(&format!("db check: {}", String::from_utf8_lossy(&check.stderr)), ended);
            }
        }
        After { sandbox: self.sandbox, rows: rows(&self.sandbox.db()).unwrap_or_default() }
    }

    /// The same without the fault; then all that was delivered must be on record, and only that.
    fn recover(&mut self, ordeal: &Ordeal, code: i32, untold: bool, seen: usize, ended: &str) {
        if code != 0 && !untold {
            let again = self.sandbox.notifyctl().args(&ordeal.args).output().expect("run notifyctl");
            if !again.status.success() {
                self.found.stuck += 1;
                self.complain(&format!("again: {}", String::from_utf8_lossy(&again.stderr)), ended);
            }
        }
        let rows = rows(&self.sandbox.db()).unwrap_or_default();
        let told = ordeal::told(self.sandbox, self.receiver, seen);
        for (to, (_, status)) in rows.iter().filter(|(to, _)| !to.starts_with("new")) {
            let times = told.get(to).copied().unwrap_or(0);
            let expected = match status.as_str() {
                "sent" => 1,
                "pending" | "cancelled" | "held" => 0,
                _ => 99,
            };
            if times != expected {
                self.found.wrong += 1;
                self.complain(&format!("{to} is {status} and was told {times} times"), ended);
            }
        }
    }

    fn complain(&mut self, why: &str, ended: &str) {
        self.found.words = self.found.words.saturating_add(1);
        if self.found.words <= 12 {
            println!("io_calls: {why}: {ended}");
        }
    }
}
