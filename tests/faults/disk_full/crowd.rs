//! Shells that enqueue and passes that deliver, until they are told to end.

use std::collections::BTreeSet;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::ids;
use crate::support::Sandbox;

/// For a busy machine; a few hundred milliseconds are usual.
const PATIENCE: Duration = Duration::from_secs(60);

/// What they have seen.
#[derive(Default)]
pub struct Seen {
    /// The ids that were acknowledged.
    pub accepted: BTreeSet<i64>,
    /// Enqueues that ended with 75.
    pub refused: u64,
    /// Of these, those that do not say that there is no space left.
    pub unclear: u64,
    /// Enqueues that ended neither with 0 nor with 75.
    pub astray: u64,
    /// Passes that ended with 0 or 75.
    pub passes: u64,
    /// Of these, those that ended with 75.
    pub stopped: u64,
    /// Passes that ended otherwise.
    pub broken: u64,
    /// What those said that ended as they should not.
    pub words: Vec<String>,
}

/// What has happened so far.
#[derive(Default)]
pub struct Progress {
    stop: AtomicBool,
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    pub passes: AtomicU64,
    pub stopped: AtomicU64,
}

/// The crowd.
pub struct Crowd {
    pub progress: Arc<Progress>,
    threads: Vec<JoinHandle<Seen>>,
}

impl Crowd {
    /// Starts `shells` that enqueue one after the other, and one that passes.
    pub fn start(sandbox: &Sandbox, shells: usize) -> Self {
        let progress = Arc::new(Progress::default());
        let message = "a".repeat(400);
        let mut commands: Vec<_> = (0..shells)
            .map(|shell| {
                let mut enqueue = sandbox.notifyctl();
                let channel = if shell % 2 == 0 { "hook" } else { "mail" };
                enqueue.args(["enqueue", "--channel", channel, "--to", "ops@example.org", &message]);
                enqueue
            })
            .collect();
        let mut pass = sandbox.notifyctl();
        pass.arg("send-pending");
        commands.push(pass);
        let threads = commands.into_iter().enumerate().map(|(number, mut command)| {
            let progress = Arc::clone(&progress);
            thread::spawn(move || {
                let mut seen = Seen::default();
                while !progress.stop.load(Ordering::Relaxed) {
                    let output = command.output().expect("run notifyctl");
                    let full = u64::from(output.status.code() == Some(75));
                    if number < shells {
                        seen.enqueue(&output);
                        progress.refused.fetch_add(full, Ordering::Relaxed);
                        progress.accepted.fetch_add(1 - full, Ordering::Relaxed);
                    } else {
                        seen.pass(&output);
                        progress.stopped.fetch_add(full, Ordering::Relaxed);
                        progress.passes.fetch_add(1 - full, Ordering::Relaxed);
                    }
                    // As people and cron do it: not in a tight loop.
                    thread::sleep(Duration::from_millis(10));
                }
                seen
            })
        });
        Self { threads: threads.collect(), progress }
    }

    /// Waits until so many more enqueues were accepted and refused, so many more passes went well and were stopped.
    pub fn wait_for(&self, more: [u64; 4]) {
        let Progress { accepted, refused, passes, stopped, .. } = &*self.progress;
        let counters = [accepted, refused, passes, stopped];
        let now = || counters.map(|counter| counter.load(Ordering::Relaxed));
        let (before, deadline) = (now(), Instant::now() + PATIENCE);
        while now().iter().zip(before).zip(more).any(|((now, before), more)| now - before < more) {
            assert!(Instant::now() < deadline, "{more:?} more in vain: {before:?}, {:?}", now());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it; says what it has seen.
    pub fn end(self) -> Seen {
        self.progress.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for thread in self.threads {
            let seen = thread.join().expect("no panic");
            all.accepted.extend(seen.accepted);
            all.refused += seen.refused;
            all.unclear += seen.unclear;
            all.astray += seen.astray;
            all.passes += seen.passes;
            all.stopped += seen.stopped;
            all.broken += seen.broken;
            all.words.extend(seen.words);
        }
        all
    }
}

impl Seen {
    fn enqueue(&mut self, output: &Output) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => self.accepted.extend(ids(&output.stdout)),
            Some(75) => {
                self.refused += 1;
                let clear = said.contains("no space left") && said.contains("hint: make room");
                if !clear {
                    self.unclear += 1;
                    self.words.push(said);
                }
            }
            _ => {
                self.astray += 1;
                self.words.push(format!("enqueue: {}: {said}", output.status));
            }
        }
    }

    fn pass(&mut self, output: &Output) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => self.passes += 1,
            Some(75) if said.contains("no space left") => {
                self.passes += 1;
                self.stopped += 1;
            }
            _ => {
                self.broken += 1;
                self.words.push(format!("send-pending: {}: {said}", output.status));
            }
        }
    }
}

/// A pass for which the disk takes nothing more from the 60th page on, and whose log cannot be begun anew either.
pub fn shut_out_pass(sandbox: &Sandbox) -> Child {
    let pass = sandbox.notifyctl();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qqq", "-o", "/dev/null", "-P"]).arg(format!("{}-wal", sandbox.db().display()));
    strace.args(["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC:when=60+"]);
    strace.arg(pass.get_program()).arg("send-pending").env_clear();
    strace.envs(pass.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.stderr(Stdio::null()).spawn().expect("strace, which `tests/run` installs")
}

/// Ends it as an operator does who will not wait.
pub fn end_at_once(pass: &mut Child) {
    let children = format!("/proc/{0}/task/{0}/children", pass.id());
    let children = std::fs::read_to_string(children).expect("strace has a child");
    let child = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    let child = child.expect("the pass runs still");
    for _ in 0..2 {
        // It may have ended by itself.
        let _ = kill_process(child, Signal::TERM);
        thread::sleep(Duration::from_millis(100));
    }
    pass.wait().expect("wait for strace");
}
