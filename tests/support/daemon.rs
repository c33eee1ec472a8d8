//! A daemon of the test's own, and what it tells its service manager.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Sandbox;

/// Longer than anything takes here, shorter than the daemon's own next look at everything (a minute).
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon, and what it tells its service manager; killed when dropped.
pub struct Daemon {
    process: Child,
    manager: UnixDatagram,
    log: PathBuf,
}

impl Daemon {
    /// Starts it, and waits until it says that it is ready.
    pub fn start(sandbox: &Sandbox) -> Self {
        Self::start_with(sandbox, &[])
    }

    /// The same, with these variables besides.
    pub fn start_with(sandbox: &Sandbox, variables: &[(&str, &str)]) -> Self {
        Self::start_by(sandbox, Self::command(sandbox).envs(variables.iter().copied()))
    }

    /// The same by a command of the caller's.
    pub fn start_by(sandbox: &Sandbox, command: &mut Command) -> Self {
        let address = sandbox.path().join("manager");
        let _ = std::fs::remove_file(&address);
        let manager = UnixDatagram::bind(&address).expect("a socket of our own");
        manager.set_read_timeout(Some(PATIENCE)).expect("set the patience");
        let stderr = std::fs::File::create(sandbox.path().join("log")).expect("make the log");
        let process = command
            .env("NOTIFY_SOCKET", &address)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("start the daemon");
        let log = sandbox.path().join("log");
        let daemon = Self { process, manager, log };
        daemon.hears("READY=1");
        daemon
    }

    /// How it is started: with HTTP on a port that is free.
    pub fn command(sandbox: &Sandbox) -> Command {
        let mut command = Self::command_at_its_level(sandbox);
        command.args(["--log-level", "debug"]);
        command
    }

    /// The same, but what is logged is what the configuration says.
    pub fn command_at_its_level(sandbox: &Sandbox) -> Command {
        let mut command = sandbox.notifyctl();
        command.arg("daemon").stdin(Stdio::null()).env("NOTIFYCTL_HTTP__LISTEN", "127.0.0.1:0");
        command
    }

    /// Where it takes requests over TCP, as its log says.
    pub fn address(&self) -> SocketAddr {
        let log = std::fs::read_to_string(&self.log).expect("read the log");
        let address = log.lines().find_map(|line| line.split_once("listening address=")).expect("it listens");
        address.1.trim().parse().expect("an address")
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it tells its manager so.
    pub fn hears(&self, state: &str) {
        let mut told = [0; 4096];
        loop {
            let length = match self.manager.recv(&mut told) {
                // A machine that is suspended, or a tracer, ends the wait before its time.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                received => received.unwrap_or_else(|error| panic!("no {state}: {error}")),
            };
            if String::from_utf8_lossy(&told[..length]).lines().any(|line| line == state) {
                return;
            }
        }
    }

    /// What it has told its manager since that was heard last.
    pub fn told(&self) -> Vec<String> {
        self.manager.set_nonblocking(true).expect("set it");
        let mut bytes = [0; 4096];
        let told = std::iter::from_fn(|| {
            let length = self.manager.recv(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
        });
        let told = told.collect();
        self.manager.set_nonblocking(false).expect("set it");
        told
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([name, &self.process.id().to_string()]).status();
        assert!(kill.expect("run kill").success());
    }

    /// Waits for its end, and gives the exit code.
    pub fn ended(mut self) -> Option<i32> {
        self.process.wait().expect("wait for the daemon").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Looks every few milliseconds until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
