//! Servers on loopback ports and in folders of their own, ended by id: when dropped, and by the kernel when this
//! program dies.

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Attempt;
use crate::ports::free_port;

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that ends with this.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts a program which the kernel ends, should this one die.
    pub fn start(command: &Command) -> Attempt<Self> {
        Self::start_as(command, None, Stdio::null())
    }

    /// The same by another user, which only root can, and with what it says going to `said`.
    fn start_as(command: &Command, user: Option<&str>, said: Stdio) -> Attempt<Self> {
        let mut bound = Command::new("setpriv");
        if let Some(user) = user {
            bound.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]);
        }
        bound.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
        bound.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            bound.current_dir(folder);
        }
        bound.stdin(Stdio::null()).stdout(said).stderr(Stdio::null());
        let child = bound.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Waits until `ready` answers, while it starts.
    pub fn wait<T>(&mut self, what: &str, ready: impl FnMut() -> Option<T>) -> Attempt<T> {
        self.wait_for(what, PATIENCE, Duration::from_millis(20), ready)
    }

    /// Waits until `ready` answers, while it works; looks often, because that is measured.
    pub fn wait_long<T>(&mut self, what: &str, ready: impl FnMut() -> Option<T>) -> Attempt<T> {
        self.wait_for(what, PATIENCE * 6, Duration::from_millis(2), ready)
    }

    fn wait_for<T>(
        &mut self,
        what: &str,
        patience: Duration,
        between: Duration,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Attempt<T> {
        let end = Instant::now() + patience;
        loop {
            if let Some(found) = ready() {
                return Ok(found);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{what} has ended with {status}"));
            }
            if Instant::now() > end {
                return Err(format!("{what} is not ready after {} s", patience.as_secs()));
            }
            std::thread::sleep(between);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder that others can pass through.
pub fn folder() -> Attempt<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o711);
    tempfile::Builder::new().permissions(mode).tempdir().map_err(|error| format!("a folder: {error}"))
}

/// Whether root runs this.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn listens(port: u16) -> Option<()> {
    TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
}

/// How often Redis syncs its log.
#[derive(Clone, Copy)]
pub enum Sync {
    /// Before it answers, as notifyctl does.
    Always,
    /// Once a second: up to a second of what was acknowledged is lost with the machine.
    EverySecond,
}

/// A Redis with an append-only log.
pub struct Redis {
    port: u16,
    _server: Server,
    _folder: TempDir,
}

impl Redis {
    pub fn start(sync: Sync) -> Attempt<Self> {
        let (folder, port) = (folder()?, free_port());
        let sync = match sync {
            Sync::Always => "always",
            Sync::EverySecond => "everysec",
        };
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", sync, "--loglevel", "warning", "--dir"]);
        command.arg(folder.path());
        let mut server = Server::start(&command)?;
        server.wait("redis-server", || listens(port))?;
        Ok(Self { port, _server: server, _folder: folder })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// A PostgreSQL as its package sets it up, on a socket in its folder; synced by default.
pub struct Postgres {
    folder: TempDir,
    _server: Server,
}

impl Postgres {
    pub fn start() -> Attempt<Self> {
        let folder = folder()?;
        let user = is_root().then_some("postgres");
        let programs = programs()?;
        let data = folder.path().join("data");
        if let Some(user) = user {
            run(Command::new("chown").arg(user).arg(folder.path()))?;
        }
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.args(["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D"]).arg(&data);
        let mut made = Server::start_as(&initdb, user, Stdio::null())?;
        let status = made.child.wait().map_err(|error| format!("initdb: {error}"))?;
        if !status.success() {
            return Err(format!("initdb has ended with {status}"));
        }
        let mut command = Command::new(programs.join("postgres"));
        command.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-c"]);
        command.arg(format!("unix_socket_directories={}", folder.path().display()));
        let mut server = Server::start_as(&command, user, Stdio::null())?;
        let mut ready = Command::new(programs.join("pg_isready"));
        ready.args(["-q", "-h"]).arg(folder.path());
        server.wait("postgres", || ready.status().ok().filter(|status| status.success()))?;
        Ok(Self { folder, _server: server })
    }

    /// Where its socket is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Debian keeps a folder of programs for each version.
fn programs() -> Attempt<PathBuf> {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").map_err(|error| format!("postgresql: {error}"))?;
    let mut folders: Vec<_> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    folders.retain(|folder| folder.join("postgres").exists());
    folders.sort();
    folders.pop().ok_or("postgresql: no server".to_owned())
}

/// Postfix's smtp-sink: takes every mail and forgets it.
pub struct Sink {
    port: u16,
    mails: Arc<AtomicUsize>,
    server: Server,
    counting: Option<JoinHandle<()>>,
}

impl Sink {
    /// One that is as fast as it can.
    pub fn start() -> Attempt<Self> {
        Self::with(&[])
    }

    /// One that counts, at the price of a write for each mail.
    pub fn counting() -> Attempt<Self> {
        Self::with(&["-c"])
    }

    fn with(options: &[&str]) -> Attempt<Self> {
        let port = free_port();
        let mut command = Command::new("smtp-sink");
        if is_root() {
            command.args(["-u", "nobody"]);
        }
        command.args(options).args(["-m", "200", &format!("127.0.0.1:{port}"), "1000"]);
        let mut server = Server::start_as(&command, None, Stdio::piped())?;
        server.wait("smtp-sink", || listens(port))?;
        let mails = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&mails);
        let counting =
            server.child.stdout.take().map(|counts| std::thread::spawn(move || count(counts, &counted)));
        Ok(Self { port, mails, server, counting })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many mails it has taken.
    pub fn mails(&self) -> usize {
        self.mails.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.server.child.kill();
        let _ = self.server.child.wait();
        if let Some(counting) = self.counting.take() {
            let _ = counting.join();
        }
    }
}

/// Follows `sess=1 quit=1 mesg=1` and a carriage return, over and over.
fn count(mut counts: impl Read, mails: &AtomicUsize) {
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    while let Ok(length @ 1..) = counts.read(&mut bytes) {
        text.push_str(&String::from_utf8_lossy(&bytes[..length]));
        let Some(whole) = text.rfind('\r') else { continue };
        let last = text[..whole].rsplit_once("mesg=").and_then(|(_, number)| number.trim().parse().ok());
        if let Some(last) = last {
            mails.store(last, Ordering::Relaxed);
        }
        text.drain(..=whole);
    }
}

/// Runs a command to its end, silently.
pub fn run(command: &mut Command) -> Attempt<()> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    Err(format!("{} ended with {}: {last}", program.display(), output.status))
}
