//! A daemon that takes requests, and curl.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::Sandbox;
use crate::support::daemon::Daemon;

/// A store, a daemon on it, and the way to speak with it.
pub struct Ground {
    pub sandbox: Sandbox,
    pub daemon: Daemon,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// As they came, the status line first.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(own, _)| own.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    /// The words of a problem, after it has been looked at whether it is one.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.json()["status"], self.status, "{self:?}");
        self.body.clone()
    }
}

/// A channel `run` whose attempts all end well, and http with a socket; `http` is the rest of its table.
pub fn config(sandbox: &Sandbox, http: &str) -> String {
    format!(
        "[channels.run]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\nto = \"ops\"\n\
         [http]\nsocket = \"{}\"\n{http}\n",
        socket(sandbox).display()
    )
}

pub fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("http.sock")
}

impl Ground {
    /// A daemon with every role.
    pub fn new(http: &str) -> Self {
        Self::with(http, "")
    }

    /// One that only accepts.
    pub fn accepting(http: &str) -> Self {
        Self::with(http, "[daemon]\nroles = \"http\"\n")
    }

    /// One that only accepts, with these channels beside the one of every test.
    pub fn accepting_with(channels: &str) -> Self {
        Self::with("", &format!("[daemon]\nroles = \"http\"\n{channels}"))
    }

    /// One that only accepts, whose store lies on the disk where `parent` is.
    pub fn within(parent: &Path) -> Self {
        Self::on(Sandbox::within(parent), "", "[daemon]\nroles = \"http\"\n")
    }

    fn with(http: &str, rest: &str) -> Self {
        Self::on(Sandbox::new(), http, rest)
    }

    fn on(sandbox: Sandbox, http: &str, rest: &str) -> Self {
        sandbox.configure(&(config(&sandbox, http) + rest));
        let daemon = Daemon::start(&sandbox);
        Self { sandbox, daemon }
    }

    /// Asks by the socket. `path` is what stands behind the host, `args` are curl's.
    pub fn ask(&self, path: &str, args: &[&str]) -> Answer {
        let socket = socket(&self.sandbox).display().to_string();
        curl(&[&["--unix-socket", &socket, &format!("http://localhost{path}")], args].concat())
    }

    /// The same by TCP.
    pub fn ask_by_tcp(&self, path: &str, args: &[&str]) -> Answer {
        curl(&[&[format!("http://{}{path}", self.daemon.address()).as_str()], args].concat())
    }

    /// Posts a body to `/v1/notifications`.
    pub fn post(&self, body: &str) -> Answer {
        self.ask("/v1/notifications", &["--json", body])
    }
}

/// Runs curl, and reads what was answered.
pub fn curl(args: &[&str]) -> Answer {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "30", "--noproxy", "*"])
        .args(args)
        .output()
        .expect("run curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rest = text.as_str();
    loop {
        let (head, body) = rest
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("curl {args:?}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        // `100 Continue` comes before the answer.
        if status != 100 {
            return Answer { status, head: head.to_owned(), body: body.to_owned() };
        }
        rest = body;
    }
}
