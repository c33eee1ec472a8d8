//! The exec kind: a program on this host is handed the envelope on its standard input.
//!
//! The program reads one JSON object (`wire::envelope`) to the end of its input and says by its exit code
//! what came of it (sysexits): 0 sent; 75 (`EX_TEMPFAIL`) and 71 (`EX_OSERR`) not now; any other never.
//! Death by a signal is temporary. What it prints is the detail, whichever of its outputs it prints to.
//! It runs without a shell in `/`, with `PATH`, `LANG=C.UTF-8`, `NOTIFYCTL_ID`, `NOTIFYCTL_ATTEMPT`,
//! `NOTIFYCTL_CHANNEL` and the configured environment, in a process group of its own.

mod program;
mod run;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use self::run::{End, Run};
use super::scrub::Scrub;
use super::{Attempt, BuildError, Channel, Envelope};
use crate::model::{Outcome, Reason, Verdict};

/// The options of a channel of kind `exec`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program and its arguments; no shell reads them. A program without a `/` is looked up in `PATH`
    /// when the channel is built.
    pub command: Vec<String>,
    /// What its environment holds besides `PATH`, `LANG` and `NOTIFYCTL_…`; may say another `PATH` or `LANG`.
    pub env: BTreeMap<String, SecretString>,
    /// The limit of time for one attempt; then the program and all it started are told to end (TERM).
    pub timeout: Duration,
    /// How long they have for that before they are killed (KILL).
    pub kill_after: Duration,
}

impl Options {
    /// What `timeout` is when nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    /// What `kill_after` is when nothing is said.
    pub const KILL_AFTER: Duration = Duration::from_secs(5);
    /// What `PATH` is when nothing is said: the same by hand, from cron and from systemd.
    pub const PATH: &'static str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// This program with these arguments, with the default of everything else.
    #[must_use]
    pub fn new(command: Vec<String>) -> Self {
        Self { command, env: BTreeMap::new(), timeout: Self::TIMEOUT, kill_after: Self::KILL_AFTER }
    }

    /// The longest that one attempt may take, all its phases together.
    #[must_use]
    pub fn longest_attempt(&self) -> Duration {
        self.timeout + self.kill_after + run::LAST_WORDS + run::REAPING
    }
}

/// A channel of kind `exec`.
pub struct Exec {
    program: PathBuf,
    arguments: Vec<String>,
    env: BTreeMap<OsString, SecretString>,
    timeout: Duration,
    kill_after: Duration,
    scrub: Scrub,
}

impl Exec {
    /// Builds it; starts nothing. From here on no descriptor that this process was given by its own
    /// parent (a lock, a socket) is handed to any program.
    ///
    /// # Errors
    /// When there is no command, it is not found, or the environment cannot be one.
    pub fn new(name: &str, options: &Options) -> Result<Self, BuildError> {
        let bad = |key| move |what| BuildError { channel: name.to_owned(), key, what };
        program::check_env(&options.env).map_err(bad("env"))?;
        let path = options.env.get("PATH").map_or(Options::PATH, ExposeSecret::expose_secret);
        let (program, arguments) = program::find(&options.command, path).map_err(bad("command"))?;
        // The program may live on in the background; a lock of whoever started us must not.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let mut env: BTreeMap<OsString, SecretString> =
            [("PATH", Options::PATH), ("LANG", "C.UTF-8")].map(|(k, v)| (k.into(), v.into())).into();
        let mut scrub = Scrub::default();
        for (key, value) in &options.env {
            if key != "PATH" && key != "LANG" {
                scrub.add(value.expose_secret());
            }
            env.insert(key.into(), value.clone());
        }
        let Options { timeout, kill_after, .. } = *options;
        Ok(Self { program, arguments, env, timeout, kill_after, scrub })
    }
}

impl Channel for Exec {
    fn attempt<'a>(&'a self, envelope: &'a Envelope) -> Attempt<'a> {
        Box::pin(async move {
            match self.run(envelope).await {
                Ok(run) => self.verdict(&run),
                // Nothing was started: not this notification's fault.
                Err(error) => {
                    let detail = format!("run {}: {error}", self.program.display());
                    Verdict::channel_trouble(Reason::LocalError, &detail)
                }
            }
        })
    }
}

/// `EX_OSERR` and `EX_TEMPFAIL` of sysexits(3).
const TEMPORARY: [i32; 2] = [71, 75];

impl Exec {
    fn verdict(&self, run: &Run) -> Verdict {
        let (outcome, reason, how) = judge(run.end, run.overdue);
        let said = self.scrub.apply(&run.said);
        let said = last(said.trim(), Verdict::DETAIL_LIMIT - how.len() - 2);
        let detail = if how.is_empty() || said.is_empty() { how + said } else { format!("{how}: {said}") };
        Verdict::new(outcome, reason, &detail)
    }
}

/// What the end of the program means, and how to call it in front of what the program said.
fn judge(end: End, overdue: bool) -> (Outcome, Reason, String) {
    match end {
        End::Exited(0) => (Outcome::Sent, Reason::Accepted, String::new()),
        End::Exited(code) if TEMPORARY.contains(&code) => {
            (Outcome::Deferred, Reason::TemporaryFailure, format!("exit status {code}"))
        }
        // It had the envelope, and nobody knows how far it came.
        _ if overdue => (Outcome::Unknown, Reason::NoAnswer, "not done in time and ended".to_owned()),
        End::Exited(code) => (Outcome::Rejected, Reason::ProgramFailed, format!("exit status {code}")),
        End::Killed(signal) => {
            (Outcome::Deferred, Reason::TemporaryFailure, format!("killed by signal {signal}"))
        }
        End::Unseen => (Outcome::Unknown, Reason::NoAnswer, "its end was not seen".to_owned()),
    }
}

/// The last bytes of `text`, whole characters, at most `limit`.
fn last(text: &str, limit: usize) -> &str {
    let from = text.len().saturating_sub(limit);
    text.char_indices().find(|(at, _)| *at >= from).map_or("", |(at, _)| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_what_came_of_it() {
        use {Outcome as O, Reason as R};
        for (end, overdue, outcome, reason, how) in [
            (End::Exited(0), false, O::Sent, R::Accepted, ""),
            (End::Exited(75), false, O::Deferred, R::TemporaryFailure, "exit status 75"),
            (End::Exited(71), false, O::Deferred, R::TemporaryFailure, "exit status 71"),
            (End::Exited(1), false, O::Rejected, R::ProgramFailed, "exit status 1"),
            (End::Exited(64), false, O::Rejected, R::ProgramFailed, "exit status 64"),
            (End::Exited(127), false, O::Rejected, R::ProgramFailed, "exit status 127"),
            (End::Killed(9), false, O::Deferred, R::TemporaryFailure, "killed by signal 9"),
            // It heard TERM and said in time what came of it.
            (End::Exited(0), true, O::Sent, R::Accepted, ""),
            (End::Exited(75), true, O::Deferred, R::TemporaryFailure, "exit status 75"),
            (End::Exited(143), true, O::Unknown, R::NoAnswer, "not done in time and ended"),
            (End::Killed(15), true, O::Unknown, R::NoAnswer, "not done in time and ended"),
            (End::Unseen, true, O::Unknown, R::NoAnswer, "not done in time and ended"),
        ] {
            assert_eq!(judge(end, overdue), (outcome, reason, how.to_owned()), "{end:?} {overdue}");
        }
    }

    #[test]
    fn the_last_words_are_kept_whole() {
        assert_eq!(last("abc", 5), "abc");
        assert_eq!(last("aébc", 3), "bc");
        assert_eq!(last("aébc", 4), "ébc");
    }
}
