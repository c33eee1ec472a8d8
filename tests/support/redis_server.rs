//! A real Redis of the test's own: its folder, its port and its socket; ended by its process id.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::ports::free_port;

/// A running `redis-server`; killed when dropped.
pub struct RedisServer {
    dir: TempDir,
    process: Child,
    port: u16,
}

impl RedisServer {
    /// Starts one that keeps nothing on disk unless `conf` says so.
    pub fn start(conf: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder of our own");
        let port = free_port();
        let text = format!(
            "port {port}\nbind 127.0.0.1\nunixsocket {0}/sock\ndir {0}\nlogfile {0}/log\nsave \"\"\nappendonly no\n\
             daemonize no\ndatabases 4\n{conf}\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("conf"), text).expect("write the configuration");
        let process = run(dir.path());
        let server = Self { dir, process, port };
        server.wait();
        server
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.path().join("sock")
    }

    /// Where it is, over TCP.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Asks it by its own client; standard output without its last line end.
    pub fn cli(&self, args: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .arg("-s")
            .arg(self.socket())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("run redis-cli");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Sends its process a signal: `-STOP`, `-CONT`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([name, &self.process.id().to_string()]).status();
        assert!(kill.expect("run kill").success());
    }

    /// Kills it, as the machine's failure would.
    pub fn kill(&mut self) {
        self.process.kill().expect("kill it");
        self.process.wait().expect("wait for it");
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = run(self.path());
        self.wait();
    }

    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.cli(&["PING"]).is_empty() {
            let log = || std::fs::read_to_string(self.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "redis-server does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(dir: &Path) -> Child {
    Command::new("redis-server")
        .arg(dir.join("conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start redis-server")
}
