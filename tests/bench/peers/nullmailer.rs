//! nullmailer in a folder of its own. Its package cannot stand beside Postfix's, so it is unpacked, not installed, and
//! finds its queue and configuration through the prefix that its own tests use; that needs its programs without their
//! setuid bit.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::packages;
use super::servers::{self, Server, Sink, run};
use super::{Attempt, command};

pub struct Nullmailer {
    prefix: TempDir,
}

impl Nullmailer {
    /// Lays out the prefix as its programs expect it; mails go to `port`.
    pub fn new(port: u16) -> Attempt<Self> {
        let prefix = servers::folder()?;
        let [top, package] = [prefix.path(), &packages::folder().join("nullmailer")];
        let lay = || -> std::io::Result<()> {
            for folder in ["conf", "queue/queue", "queue/tmp", "queue/failed"] {
                fs::create_dir_all(top.join(folder))?;
            }
            copy_programs(&package.join("usr/sbin"), &top.join("sbin"))?;
            copy_programs(&package.join("usr/bin"), &top.join("bin"))?;
            copy_programs(&package.join("usr/lib/nullmailer"), &top.join("protocols"))?;
            fs::write(top.join("mailname"), "bench.example.org\n")?;
            fs::write(top.join("conf/remotes"), format!("127.0.0.1 smtp --port={port}\n"))
        };
        lay().map_err(|error| format!("nullmailer: {error}"))?;
        run(Command::new("mkfifo").arg(top.join("queue/trigger")))?;
        Ok(Self { prefix })
    }

    /// `nullmailer-inject` with a mail on its standard input.
    pub fn inject(&self) -> Attempt<Command> {
        let mut inject = self.program("bin/nullmailer-inject");
        inject.arg("user@example.org").stdin(command::mail()?);
        Ok(inject)
    }

    /// Runs `nullmailer-send` until `sink` has taken `after` mails.
    pub fn drain(&self, sink: &Sink, after: usize) -> Attempt<()> {
        let mut server = Server::start(&self.program("sbin/nullmailer-send"))?;
        server.wait_long("nullmailer-send", || (sink.mails() >= after).then_some(()))
    }

    fn program(&self, path: &str) -> Command {
        let mut command = Command::new(self.prefix.path().join(path));
        command.env("NULLMAILER_TEST_PREFIX", self.prefix.path());
        command
    }
}

/// Copies what is a plain file; by content, so that no special mode bit comes along.
fn copy_programs(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let copy = to.join(entry.file_name());
            fs::copy(entry.path(), &copy)?;
            fs::set_permissions(copy, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}
