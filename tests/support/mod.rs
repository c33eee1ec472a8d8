//! What the tests share: a folder of their own, the binary in a clean environment, real servers.

pub mod browser;
pub mod certificate;
pub mod channels;
pub mod daemon;
pub mod hand;
pub mod http_sink;
pub mod mail_server;
pub mod ports;
pub mod program;
pub mod queue;
pub mod redis_server;
pub mod small_disk;
pub mod smtp_peer;
pub mod webhooks;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::{Attachment, Id};
use notifyctl::store::{Access, Store};
use tempfile::TempDir;

/// A folder with a store and a configuration of its own; gone when dropped.
pub struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    /// A folder whose configuration names a store in it and nothing else.
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// The same, on the disk where `parent` is.
    pub fn within(parent: &Path) -> Self {
        let sandbox = Self { dir: TempDir::new_in(parent).expect("a folder of our own") };
        sandbox.configure("");
        sandbox
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The store's file.
    pub fn db(&self) -> PathBuf {
        self.path().join("state/notifyctl.db")
    }

    /// Writes the configuration: the store of this folder, and `rest`.
    pub fn configure(&self, rest: &str) {
        let text = format!("[store]\nurl = \"sqlite://{}\"\n{rest}", self.db().display());
        std::fs::write(self.path().join("notifyctl.toml"), text).expect("write the configuration");
    }

    /// The binary with this folder's configuration, in an environment of nothing but PATH, HOME and a locale.
    pub fn notifyctl(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notifyctl"));
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path())
            .env("LC_ALL", "C.UTF-8")
            .env("NOTIFYCTL_CONFIG", self.path().join("notifyctl.toml"))
            .current_dir(self.path());
        command
    }

    /// Runs it with `input` on standard input.
    pub fn run<A: AsRef<OsStr>>(&self, args: &[A], input: &[u8]) -> Output {
        let mut command = self.notifyctl();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run notifyctl");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::thread::scope(|scope| {
            // It may end before it has read everything.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().expect("wait for notifyctl")
        })
    }

    /// The store, as the library opens it: what is in it is told by another way than by the commands.
    pub fn store(&self) -> Box<dyn Store> {
        hand::sqlite(&self.db(), Access::Existing, SystemClock.now())
    }

    /// The attachments of a notification, as they lie in the store.
    pub fn attachments(&self, id: Id) -> Vec<Attachment> {
        let store = rusqlite::Connection::open(self.db()).expect("open the store");
        let sql = "SELECT name, media_type, content FROM parts WHERE notification_id = ? AND position > 0 ORDER BY position";
        let mut query = store.prepare(sql).expect("ask");
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Attachment { name: row.get(0)?, media_type: row.get(1)?, content: row.get(2)? })
        };
        query.query_map([id], read).expect("ask").collect::<Result<_, _>>().expect("read")
    }

    /// How many notifications were ever accepted; none where there is no store yet.
    pub fn accepted(&self) -> u64 {
        match self.db().exists() {
            true => self.store().counts().expect("count").channels.values().map(|c| c.accepted).sum(),
            false => 0,
        }
    }

    /// Runs it, expects success, and gives standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.notifyctl().args(args).output().expect("run notifyctl");
        assert!(
            output.status.success(),
            "notifyctl {args:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs it, expects the exit code, and gives standard error.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.notifyctl().args(args).output().expect("run notifyctl");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "notifyctl {args:?}: {stderr}");
        stderr
    }
}

/// The Python that `tests/run` prepares, with the published libraries that answers are checked with.
pub fn python() -> Command {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv/bin/python3");
    assert!(python.exists(), "{} is missing: `tests/run` makes it", python.display());
    Command::new(python)
}
