//! One run of the program: fed, listened to, and ended in time, with all that it started.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::Exec;
use crate::channel::Envelope;

/// How long the last of the output is waited for when the program has ended: something that it left
/// running in the background may hold its pipe open for ever.
pub const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long the end of a killed program is waited for: one that hangs in the kernel is left to itself.
pub const REAPING: Duration = Duration::from_secs(1);

/// How much of the end of the output is kept; more than is shown, so that a secret is not cut in two.
const KEPT: usize = 8 * 1024;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// Not that we had seen.
    Unseen,
}

/// What came of one run.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// Whether it had to be told to.
    pub overdue: bool,
    /// The end of what it printed, on both of its outputs in the order in which it came.
    pub said: String,
}

impl Exec {
    /// Runs the program with `envelope` once; takes at most [`super::Options::longest_attempt`].
    ///
    /// # Errors
    /// When it could not be started.
    pub(super) async fn run(&self, envelope: &Envelope) -> io::Result<Run> {
        let input = serde_json::to_vec(&envelope.shape())?;
        let (mut child, output) = self.start(envelope)?;
        let mut group = Group::of(&child);
        let mut said = Tail::default();
        let stdin = child.stdin.take();
        let mut talk = Talk {
            future: Box::pin(async { tokio::join!(feed(stdin, &input), listen(output, &mut said)) }),
            over: false,
        };

        let mut end = timeout(self.timeout, ended(&mut child, &mut talk)).await.ok();
        let overdue = end.is_none();
        if overdue {
            group.signal(Signal::TERM);
            end = timeout(self.kill_after, ended(&mut child, &mut talk)).await.ok();
            // Whoever of the group has not heeded TERM.
            group.signal(Signal::KILL);
        }
        if end.is_none() {
            end = timeout(REAPING, ended(&mut child, &mut talk)).await.ok();
        }
        group.forget();
        let _ = timeout(LAST_WORDS, talk.finish()).await;
        drop(talk);
        let end = end.map_or(End::Unseen, |status| status.map_or(End::Unseen, End::from));
        Ok(Run { end, overdue, said: said.text() })
    }

    fn start(&self, envelope: &Envelope) -> io::Result<(Child, pipe::Receiver)> {
        // One pipe for both outputs keeps their order.
        let (reader, writer) = io::pipe()?;
        let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        for (name, value) in &self.env {
            command.env(name, value.expose_secret());
        }
        command
            .env("NOTIFYCTL_ID", envelope.id.to_string())
            .env("NOTIFYCTL_ATTEMPT", envelope.attempt.to_string())
            .env("NOTIFYCTL_CHANNEL", &envelope.channel)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        Ok((command.spawn()?, output))
    }
}

/// The end of the program, while it is talked with; its end counts, not that of the talk.
async fn ended<F: Future>(child: &mut Child, talk: &mut Talk<F>) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            () = talk.finish(), if !talk.over => {}
        }
    }
}

/// What is said and heard; may be left and taken up again.
struct Talk<F> {
    future: Pin<Box<F>>,
    over: bool,
}

impl<F: Future> Talk<F> {
    async fn finish(&mut self) {
        if !self.over {
            self.future.as_mut().await;
            self.over = true;
        }
    }
}

/// A program that does not want to know everything closes its input early: that is its right.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}

async fn listen(mut output: pipe::Receiver, said: &mut Tail) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        said.push(&buffer[..count]);
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed(signal),
            (None, None) => Self::Unseen,
        }
    }
}

/// The end of a stream.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        // In large steps, not byte by byte.
        if self.0.len() > 2 * KEPT {
            self.0.drain(..self.0.len() - KEPT);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0[self.0.len().saturating_sub(KEPT)..]).into_owned()
    }
}

/// The program and all that it started; killed when the attempt is abandoned.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // An error means that nobody is left. That the number was given to a new group between the
            // leader's end and this line would take a whole round of process numbers in microseconds.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// It ended by itself: what it left running in the background may go on.
    fn forget(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
