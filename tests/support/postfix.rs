//! A real Postfix of the test's own: on free ports, in a folder of its own, delivering into one Maildir.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long Postfix may take to start, and a mail to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// The running Postfix. Dropping it stops it and removes its folder.
pub struct Postfix {
    dir: TempDir,
    child: Child,
    /// Takes mail for `example.org` without TLS.
    pub plain: u16,
    /// Offers STARTTLS, and takes mail after a login alone: [`Postfix::USER`], [`Postfix::PASSWORD`].
    pub submission: u16,
    /// Speaks TLS from the first byte.
    pub implicit: u16,
}

impl Postfix {
    /// The user of the submission port.
    pub const USER: &'static str = "user";
    /// Their password.
    pub const PASSWORD: &'static str = "s3cret pässword";

    /// Starts it.
    ///
    /// Its certificate is for `localhost` alone. `nobody@example.org` is unknown, `later@example.org`
    /// greylisted; everybody else at `example.org` gets their mail.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("postfix-").tempdir().expect("a folder of our own");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).expect("let Postfix in");
        let [plain, submission, implicit] = free_ports();
        certificates(dir.path());
        for (name, text) in [
            ("main.cf", main_cf(dir.path())),
            ("master.cf", master_cf(plain, submission, implicit)),
            ("sasl/smtpd.conf", sasl(dir.path())),
        ] {
            fs::create_dir_all(dir.path().join("etc/sasl")).expect("a folder for the configuration");
            fs::write(dir.path().join("etc").join(name), text).expect("write the configuration");
        }
        let child = as_root("/bin/sh")
            .args(["-eu", "-c", PREPARE_AND_START])
            .env("DIR", dir.path())
            .env("LOGIN", Self::USER)
            .env("PASSWORD", Self::PASSWORD)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .spawn()
            .expect("a shell");
        let postfix = Self { dir, child, plain, submission, implicit };
        for port in [plain, submission, implicit] {
            postfix.wait_for("it listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        }
        postfix
    }

    /// The certificate of the authority that signed Postfix's.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The raw mails that have arrived, once there are `count`; fails when there are more.
    pub fn mails(&self, count: usize) -> Vec<PathBuf> {
        let mail = self.dir.path().join("mail");
        let new = mail.join("box/new");
        // Postfix lets nobody else look.
        let let_us_look = || as_root("chmod").args(["-R", "a+rX"]).arg(&mail).stderr(Stdio::null()).status();
        let mails = self.wait_for(&format!("{count} mails have arrived"), || {
            let Ok(entries) = fs::read_dir(&new) else {
                let _ = let_us_look();
                return None;
            };
            let mails: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
            (mails.len() >= count).then_some(mails)
        });
        let _ = let_us_look();
        assert_eq!(mails.len(), count, "mails in {}", new.display());
        mails
    }

    fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "Postfix: waited in vain until {what}\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // The master's number stands padded in its file; it ends its own processes.
        let file = self.dir.path().join("queue/pid/master.pid");
        if let Ok(pid) = fs::read_to_string(file) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
        let _ = self.child.wait();
        // What belongs to Postfix's users is not ours to remove, unless we are root.
        let folders = ["queue", "data", "mail", "etc"].map(|name| self.dir.path().join(name));
        let _ = as_root("rm").arg("-rf").args(folders).status();
    }
}

/// A program run by root, or else by a root of its own name space: Postfix has users of its own.
fn as_root(program: &str) -> Command {
    let is_root = fs::metadata("/proc/self").expect("/proc").uid() == 0;
    if is_root {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--map-auto", program]);
    command
}

/// Run by a shell because it changes owners, which only root may.
const PREPARE_AND_START: &str = r#"
    mkdir "$DIR/queue" "$DIR/data" "$DIR/mail"
    chown postfix "$DIR/data" "$DIR/mail"
    printf '%s' "$PASSWORD" | saslpasswd2 -c -p -f "$DIR/etc/sasldb2" -u relay.example.org "$LOGIN"
    chown postfix "$DIR/etc/sasldb2"
    printf 'virtual_uid_maps = static:%s\nvirtual_gid_maps = static:%s\n' \
        "$(id -u postfix)" "$(id -g postfix)" >>"$DIR/etc/main.cf"
    exec postfix -c "$DIR/etc" start-fg 2>/dev/null
"#;

fn free_ports<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    held.map(|listener| listener.local_addr().expect("its address").port())
}

fn main_cf(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.example.org
mydestination =
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
in_flow_delay = 0
virtual_mailbox_domains = example.org
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
alias_maps =
alias_database =
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{ nobody@example.org = 550 5.1.1 no such user }},
        {{ later@example.org = 450 4.2.0 greylisted }} }}
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_received_header = yes
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = relay.example.org
cyrus_sasl_config_path = {dir}/etc/sasl
"
    )
}

fn master_cf(plain: u16, submission: u16, implicit: u16) -> String {
    format!(
        "127.0.0.1:{plain} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
    -o smtpd_tls_security_level=may
    -o smtpd_sasl_auth_enable=yes
    -o smtpd_tls_auth_only=yes
    -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{implicit} inet n - n - - smtpd
    -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"
    )
}

fn sasl(dir: &Path) -> String {
    format!(
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {}/etc/sasldb2\n",
        dir.display()
    )
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
