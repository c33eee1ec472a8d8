//! Real mail servers of the test's own: on free ports of loopback, in a folder of their own, delivering into one
//! Maildir. One thing is the same for all of them: what each port is for.

mod exim;
mod opensmtpd;
pub mod postfix;
pub mod postgrey;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::ports::free_port;

/// How long a server may take to start, and a mail to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Postfix,
    OpenSmtpd,
    Exim,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Postfix, Self::OpenSmtpd, Self::Exim];

    /// As its makers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postfix => "Postfix",
            Self::OpenSmtpd => "OpenSMTPD",
            Self::Exim => "Exim",
        }
    }

    /// The major and the minor number of its version, and whether it is of Debian's backports.
    pub fn version(self) -> String {
        let said = match self {
            Self::Postfix => output("/usr/sbin/postconf", &["-hd", "mail_version"]),
            Self::OpenSmtpd => fs::read_to_string(unpacked("opensmtpd/version")).expect("read"),
            Self::Exim => fs::read_to_string(unpacked("exim/version")).expect("read"),
        };
        let end = |c: char| !c.is_ascii_digit();
        let number = said.split(end).take(2).collect::<Vec<_>>().join(".");
        if said.contains("~bpo") { number + " (backports)" } else { number }
    }
}

/// A running mail server. Dropping it stops it and removes its folder.
///
/// It takes mail for anybody at `example.org`, but `nobody@` is unknown and `later@` refused for now; a mail may have
/// [`MailServer::LIMIT`] bytes. Its certificate is for `localhost` alone. At most 5 mails in a row are taken in one
/// connection by OpenSMTPD, in a few seconds by the others on the port that is limited.
pub struct MailServer {
    /// Which one it is.
    pub kind: Kind,
    dir: TempDir,
    child: Option<Child>,
    ports: Ports,
    /// Takes mail for `example.org` without TLS.
    pub plain: u16,
    /// Offers STARTTLS, and takes mail after a login alone: [`MailServer::USER`], [`MailServer::PASSWORD`].
    pub submission: u16,
    /// Speaks TLS from the first byte.
    pub implicit: u16,
}

/// What the ports are for, beside the three that every user of a server knows.
#[derive(Clone, Copy)]
pub struct Ports {
    pub plain: u16,
    pub submission: u16,
    pub implicit: u16,
    /// Offers as little as the server can be told to: no PIPELINING, no SMTPUTF8, no SIZE.
    pub bare: u16,
    /// Takes 5 mails in a few seconds.
    pub limited: u16,
    /// Takes two connections at once.
    pub crowded: u16,
    /// Refuses whom it does not know yet, for two seconds.
    pub greylisting: u16,
    /// Where Postfix asks a policy server.
    pub policy: u16,
}

impl MailServer {
    /// The user of the submission port.
    pub const USER: &'static str = "user";
    /// Their password.
    pub const PASSWORD: &'static str = "s3cret pässword";
    /// The most bytes of a mail.
    pub const LIMIT: usize = 300_000;

    /// Starts one.
    pub fn start(kind: Kind) -> Self {
        let prefix = format!("{}-", kind.name().to_lowercase());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a folder of our own");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).expect("let the server in");
        let [plain, submission, implicit, bare, limited, crowded, greylisting, policy] =
            std::array::from_fn(|_| free_port());
        let ports = Ports { plain, submission, implicit, bare, limited, crowded, greylisting, policy };
        certificates(dir.path());
        let files = match kind {
            Kind::Postfix => postfix::files(dir.path(), &ports),
            Kind::OpenSmtpd => opensmtpd::files(dir.path(), &ports),
            Kind::Exim => exim::files(dir.path(), &ports),
        };
        for (name, text) in files {
            let path = dir.path().join("etc").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the configuration");
            fs::write(path, text).expect("write the configuration");
        }
        let mut server = Self { kind, dir, child: None, ports, plain, submission, implicit };
        server.start_again();
        server
    }

    /// Starts it where it stands still: with the mails that it had.
    pub fn start_again(&mut self) {
        let script = match self.kind {
            Kind::Postfix => postfix::START,
            Kind::OpenSmtpd => opensmtpd::START,
            Kind::Exim => exim::START,
        };
        let log = fs::File::options().append(true).create(true).open(self.dir.path().join("said"));
        let child = as_root(self.kind, "/bin/sh")
            .args(["-eu", "-c", &format!("{PEOPLE}{script}")])
            .env_clear()
            .env("DIR", self.dir.path())
            .env("UNPACKED", unpacked(""))
            .env("LOGIN", Self::USER)
            .env("PASSWORD", Self::PASSWORD)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .process_group(0)
            .spawn()
            .expect("a shell");
        self.child = Some(child);
        for port in [self.plain, self.submission, self.implicit] {
            self.wait_for("it listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        }
    }

    /// Stops it, whatever it is doing: every connection is cut.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if self.kind == Kind::Postfix {
            postfix::end(self.dir.path());
        }
        end(&mut child);
    }

    /// What its further ports are for.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The certificate of the authority that signed the server's.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The raw mails that have arrived, once there are `count`; fails when there are more.
    pub fn mails(&self, count: usize) -> Vec<PathBuf> {
        let mails = self.wait_for(&format!("{count} mails have arrived"), || {
            let mails = self.arrived();
            (mails.len() >= count).then_some(mails)
        });
        assert_eq!(mails.len(), count, "mails of {}", self.kind.name());
        mails
    }

    /// The raw mails that have arrived by now.
    pub fn arrived(&self) -> Vec<PathBuf> {
        let mut folder = self.dir.path().join("mail/box/new");
        if !is_root() {
            // The servers let nobody else look, and see to that again at each mail.
            let copies = self.dir.path().join("copies");
            let script = r#"mkdir -p "$1"; [ ! -e "$0" ] || cp -ru "$0/." "$1"; chmod -R a+rX "$1""#;
            let mut shell = as_root(Kind::Postfix, "/bin/sh");
            shell.args(["-eu", "-c", script]).args([&folder, &copies]);
            assert!(shell.status().expect("a shell").success());
            folder = copies;
        }
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// What `look` finds, once it does; fails with all that the server has said.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            let waited = Instant::now() < end;
            assert!(waited, "{}: waited in vain until {what}\n{}", self.kind.name(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        let files = ["said", "log", "log/main", "log/panic"].map(|name| self.dir.path().join(name));
        files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop();
        // What belongs to a server's users is not ours to remove, unless we are root.
        let folders = ["queue", "data", "mail", "etc", "log", "lib", "run", "copies"]
            .map(|name| self.dir.path().join(name));
        let _ = as_root(Kind::Postfix, "rm").arg("-rf").args(folders).status();
    }
}

/// Ends a program that leads a process group, and all that it has started.
fn end(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status();
    let _ = child.wait();
    let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("/proc").uid() == 0
}

/// A program run by root, or else by a root of its own name space: the servers have users of their own. Those that
/// are not installed have no users on this host, and get a name space where they do.
fn as_root(kind: Kind, program: &str) -> Command {
    let installed = kind == Kind::Postfix;
    if is_root() && installed {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--map-root-user", "--map-auto"]);
    }
    if !installed {
        command.arg("--mount");
    }
    command.arg(program);
    command
}

/// `people NAME…`, for the shell: shows this name space users that the host has not.
const PEOPLE: &str = r#"
people() {
    cp /etc/passwd /etc/group "$DIR/etc"
    id=64110
    for name in "$@"; do
        if ! grep -q "^$name:" /etc/passwd; then
            echo "$name:x:$id:$id::/nonexistent:/bin/sh" >>"$DIR/etc/passwd"
            echo "$name:x:$id:" >>"$DIR/etc/group"
        fi
        id=$((id + 1))
    done
    mount --bind "$DIR/etc/passwd" /etc/passwd
    mount --bind "$DIR/etc/group" /etc/group
}
"#;

/// A file of a package that could not be installed beside Postfix, so it was unpacked.
fn unpacked(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/mail-servers").join(path);
    assert!(path.exists(), "{} is missing: `tests/run` unpacks it", path.display());
    path.display().to_string()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An authority of our own, and a certificate from it that is for `localhost` alone.
fn certificates(dir: &Path) {
    let script = r"
        key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
        openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj '/CN=an authority of our own'
        openssl req $key -keyout key.pem -out request.pem -subj '/CN=localhost'
        printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' >extensions
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 \
            -extfile extensions
    ";
    let output =
        Command::new("/bin/sh").args(["-eu", "-c", script]).current_dir(dir).output().expect("a shell");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
