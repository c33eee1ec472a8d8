//! Postfix as a peer: an instance of its own with its own queue.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::servers::{self, Server, Sink, is_root, run};
use super::{Attempt, command};
use crate::ports::free_port;

pub struct Postfix {
    folder: TempDir,
    port: u16,
    server: Server,
}

impl Postfix {
    /// One that takes mail and throws it away.
    pub fn discarding() -> Attempt<Self> {
        Self::start("default_transport = discard:\n")
    }

    /// One that keeps its mail until it is flushed, and then relays it to `sink`.
    ///
    /// As many deliveries at once as there are processes for; connections are kept, names are not looked up.
    pub fn holding(sink: u16) -> Attempt<Self> {
        Self::start(&format!(
            "relayhost = [127.0.0.1]:{sink}
defer_transports = smtp
default_process_limit = 200
initial_destination_concurrency = 50
default_destination_concurrency_limit = 50
smtp_connection_cache_destinations = [127.0.0.1]:{sink}
smtp_connection_cache_reuse_limit = 10000
disable_dns_lookups = yes
smtp_tls_security_level = none
"
        ))
    }

    fn start(settings: &str) -> Attempt<Self> {
        if !is_root() {
            return Err("Postfix has users of its own: only root can run it".into());
        }
        let (folder, port) = (servers::folder()?, free_port());
        let top = folder.path();
        let lay = || -> std::io::Result<()> {
            for name in ["etc", "queue", "data"] {
                fs::create_dir(top.join(name))?;
            }
            fs::write(top.join("etc/main.cf"), format!("{}{settings}", main_cf(&top.display().to_string())))?;
            fs::write(top.join("etc/master.cf"), master_cf(port))
        };
        lay().map_err(|error| format!("Postfix: {error}"))?;
        run(Command::new("chown").arg("postfix").arg(top.join("data")))?;
        let mut command = Command::new("postfix");
        command.arg("-c").arg(top.join("etc")).arg("start-fg");
        let mut server = Server::start(&command)?;
        server.wait("Postfix", || TcpStream::connect(("127.0.0.1", port)).ok())?;
        Ok(Self { folder, port, server })
    }

    /// `sendmail` with a mail on its standard input.
    pub fn sendmail(&self) -> Attempt<Command> {
        let mut sendmail = Command::new("/usr/sbin/sendmail");
        sendmail.arg("-C").arg(self.etc()).args(["-f", "bench@example.org", "user@example.org"]);
        sendmail.stdin(command::mail()?);
        Ok(sendmail)
    }

    /// Puts `count` mails into its queue, over SMTP, and waits until they are all at rest there.
    pub fn load(&mut self, count: usize) -> Attempt<()> {
        let mut source = Command::new("smtp-source");
        source.args(["-d", "-s", "20", "-m", &count.to_string(), "-l", "300"]);
        source.args([
            "-f",
            "bench@example.org",
            "-t",
            "user@example.org",
            &format!("127.0.0.1:{}", self.port),
        ]);
        run(&mut source)?;
        let busy: Vec<_> =
            ["incoming", "active"].map(|name| self.folder.path().join("queue").join(name)).into();
        let at_rest = || {
            busy.iter().all(|folder| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()))
        };
        self.server.wait_long("Postfix", || at_rest().then_some(()))
    }

    /// Flushes its queue, until `sink` has taken `after` mails.
    pub fn drain(&mut self, sink: &Sink, after: usize) -> Attempt<()> {
        run(Command::new("postqueue").arg("-c").arg(self.etc()).arg("-f"))?;
        self.server.wait_long("Postfix", || (sink.mails() >= after).then_some(()))
    }

    fn etc(&self) -> PathBuf {
        self.folder.path().join("etc")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // Waits until every process of this instance has ended, so that its folder can go.
        let _ = run(Command::new("postfix").arg("-c").arg(self.etc()).arg("stop"));
    }
}

fn main_cf(top: &str) -> String {
    format!(
        "compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.example.org
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {top}/log
maillog_file_prefixes = {top}
alias_maps =
alias_database =
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
"
    )
}

fn master_cf(port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"
    )
}
