//! One command, from the start of its process until what it was given is durable.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::drivers::{node_driver, python, python_driver, seconds};
use super::nullmailer::Nullmailer;
use super::postfix::Postfix;
use super::servers::{Redis, Sink, Sync, folder};
use super::table::Unit;
use super::{Attempt, Choice, Peer, Work};
use crate::measure::{Budget, floor, notifyctl};
use crate::ports::free_port;

/// Pairs for what takes milliseconds, and for what takes a good part of a second.
const FAST: usize = 100;
const SLOW: usize = 15;

/// What is said in each.
pub fn message() -> String {
    "x".repeat(250)
}

/// A mail of about 300 bytes, to be read from standard input.
pub fn mail() -> Attempt<Stdio> {
    let text = format!("From: bench@example.org\nTo: user@example.org\nSubject: subject\n\n{}\n", message());
    let write = || -> std::io::Result<File> {
        let mut file = tempfile::tempfile()?;
        file.write_all(text.as_bytes())?;
        file.rewind()?;
        Ok(file)
    };
    write().map(Stdio::from).map_err(|error| format!("a mail: {error}"))
}

pub fn run(choice: &Choice) -> Work<'_> {
    let mut work = Work {
        name: "command",
        title: "One command, from the start of its process until it is durable",
        unit: Unit::Each,
        choice,
        lines: Vec::new(),
    };
    let store = tempfile::tempdir().expect("a folder");
    let mut ours = || {
        let mut enqueue = notifyctl(store.path(), "");
        seconds(enqueue.args(["enqueue", "--to", "ops@example.org", "--subject", "subject", &message()]))
    };
    let warm = |mut theirs: Box<dyn FnMut() -> Attempt<f64>>| {
        for _ in 0..3 {
            theirs()?;
        }
        Ok(theirs)
    };
    for _ in 0..3 {
        ours().expect("notifyctl enqueues");
    }
    work.against(FLOOR, &mut ours, || {
        let folder = folder()?;
        warm(Box::new(move || {
            let file = folder.path().join("floor.db");
            seconds(&mut floor(&["insert", &file.to_string_lossy()]))
        }))
    });
    work.against(NULLMAILER, &mut ours, || {
        let nullmailer = Nullmailer::new(free_port())?;
        warm(Box::new(move || seconds(&mut nullmailer.inject()?)))
    });
    work.against(POSTFIX, &mut ours, || {
        let postfix = Postfix::discarding()?;
        warm(Box::new(move || seconds(&mut postfix.sendmail()?)))
    });
    work.against(MSMTPQ, &mut ours, || {
        let msmtp = Msmtp::new()?;
        msmtp.relay(free_port())?;
        warm(Box::new(move || seconds(&mut msmtp.enqueue()?)))
    });
    work.against(APPRISE, &mut ours, || {
        let sink = Sink::start()?;
        warm(Box::new(move || {
            let to = "from=bench@example.org&to=user@example.org&mode=insecure";
            let url = format!("mailto://127.0.0.1:{}/?{to}", sink.port());
            seconds(python("apprise").args(["-t", "subject", "-b", &message(), &url]))
        }))
    });
    work.against(CELERY, &mut ours, || {
        let redis = Redis::start(Sync::Always)?;
        warm(Box::new(move || {
            let broker = format!("redis://127.0.0.1:{}/0", redis.port());
            let args = format!(r#"["ops@example.org", "subject", "{}"]"#, message());
            seconds(python("celery").args(["-b", &broker, "call", "celery_peer.nothing", "--args", &args]))
        }))
    });
    work.against(HUEY, &mut ours, || {
        let folder = folder()?;
        warm(Box::new(move || {
            let file = folder.path().join("huey.db");
            seconds(python_driver("huey_peer.py").arg("add").env("HUEY_FILE", file))
        }))
    });
    work.against(BULLMQ, &mut ours, || {
        let redis = Redis::start(Sync::Always)?;
        warm(Box::new(move || {
            seconds(node_driver("bullmq_peer.cjs").arg("add").env("REDIS_PORT", redis.port().to_string()))
        }))
    });
    work
}

const FLOOR: Peer = Peer {
    name: "the least that Rust and SQLite can do",
    packages: &["floor"],
    how: "same build, synced; 1 row without any check",
    budget: Some(Budget::AtMost(1.25)),
    pairs: FAST,
};
const NULLMAILER: Peer = Peer {
    name: "nullmailer-inject",
    packages: &["nullmailer"],
    how: "file and folder synced",
    budget: Some(Budget::AtMost(0.6)),
    pairs: FAST,
};
const POSTFIX: Peer = Peer {
    name: "Postfix sendmail",
    packages: &["postfix"],
    how: "file synced; Postfix runs",
    budget: Some(Budget::AtMost(0.33)),
    pairs: FAST,
};
const MSMTPQ: Peer = Peer {
    name: "msmtpq",
    packages: &["msmtp"],
    how: "not synced; the relay is down, for else it sends",
    budget: None,
    pairs: 30,
};
const APPRISE: Peer = Peer {
    name: "Apprise",
    packages: &["apprise"],
    how: "no queue: sends to smtp-sink on loopback",
    budget: Some(Budget::AtMost(0.01)),
    pairs: SLOW,
};
const CELERY: Peer = Peer {
    name: "celery call",
    packages: &["celery", "redis"],
    how: "Redis, appendfsync always",
    budget: Some(Budget::AtMost(0.01)),
    pairs: SLOW,
};
const HUEY: Peer = Peer {
    name: "a program that enqueues by Huey",
    packages: &["huey"],
    how: "SQLite, synchronous = full",
    budget: None,
    pairs: SLOW,
};
const BULLMQ: Peer = Peer {
    name: "a program that adds to BullMQ",
    packages: &["bullmq", "redis"],
    how: "Redis, appendfsync always",
    budget: None,
    pairs: SLOW,
};

/// msmtp with its queue scripts, in a folder of its own.
pub struct Msmtp {
    folder: tempfile::TempDir,
}

impl Msmtp {
    pub fn new() -> Attempt<Self> {
        scripts()?;
        Ok(Self { folder: folder()? })
    }

    /// Where it sends from now on.
    pub fn relay(&self, port: u16) -> Attempt<()> {
        use std::os::unix::fs::PermissionsExt;
        let text = format!("account default\nhost 127.0.0.1\nport {port}\nfrom bench@example.org\n");
        let write = || -> std::io::Result<()> {
            std::fs::write(self.configuration(), text)?;
            std::fs::set_permissions(self.configuration(), std::fs::Permissions::from_mode(0o600))
        };
        write().map_err(|error| format!("msmtp: {error}"))
    }

    /// `msmtpq` with a mail on its standard input.
    pub fn enqueue(&self) -> Attempt<Command> {
        let mut msmtpq = self.script("msmtpq")?;
        msmtpq.arg("-C").arg(self.configuration()).arg("user@example.org").stdin(mail()?);
        Ok(msmtpq)
    }

    /// `msmtp-queue -r`, which sends all that waits.
    pub fn drain(&self) -> Attempt<Command> {
        let mut queue = self.script("msmtp-queue")?;
        queue.arg("-r");
        Ok(queue)
    }

    fn script(&self, name: &str) -> Attempt<Command> {
        let scripts = scripts()?;
        let mut command = Command::new(scripts.join(name));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", scripts.display()));
        command.env("MSMTPQ_Q", self.folder.path().join("queue"));
        command.env("MSMTPQ_LOG", self.folder.path().join("log"));
        // It would look for the Internet before it sends.
        command.env("EMAIL_CONN_TEST", "x").env("EMAIL_QUEUE_QUIET", "t");
        Ok(command)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("msmtprc")
    }
}

/// Debian has moved them.
fn scripts() -> Attempt<&'static Path> {
    let places = ["/usr/libexec/msmtp/msmtpq", "/usr/share/doc/msmtp/examples/msmtpq"];
    let place = places.into_iter().map(Path::new).find(|place| place.join("msmtpq").exists());
    place.ok_or("msmtp: its package has no msmtpq".to_owned())
}
