//! `cron` itself runs `etc/crontab`, as it is, where nothing else is configured.
//!
//! It does so in a folder of its own that it takes for the whole system (`chroot`), so that neither this
//! machine's crontabs nor its mail are touched and no path in the crontab has to be changed. Without root,
//! the folder's root is that of a user name space.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use crate::support::program;

const PROGRAM: &str = "/usr/local/bin/notifyctl";
/// cron wakes at full minutes; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn cron_delivers_what_was_enqueued_within_a_minute_and_is_silent() {
    let system = System::new();
    let id =
        system.run(&format!("{PROGRAM} enqueue --to ops@example.org --subject Grüße 'the disk is full'"));
    assert!(id.status.success(), "{id:?}");
    // The example in the crontab, now: a program that fails.
    program::write(&system.path("usr/local/sbin/backup"), "#!/bin/sh\nexit 3\n");
    system.crontab(&crontab().replace("#30 2 * * *", "* * * * *"));
    let mut cron = Cron(system.command("/usr/sbin/cron").arg("-f").spawn().expect("start cron"));
    let inbox = system.path("var/lib/notifyctl/outbox/new");
    let until = Instant::now() + PATIENCE;
    let mail = loop {
        let entries = fs::read_dir(&inbox).into_iter().flatten();
        let mails = entries.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a mail"));
        if let Some(mail) = mails.into_iter().find(|mail| mail.contains("the disk is full")) {
            break mail;
        }
        assert!(cron.0.try_wait().expect("look at cron").is_none(), "cron ended");
        assert!(Instant::now() < until, "nothing arrived; cron mailed: {:?}", system.mailed());
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(mail.contains("To: ops@example.org"), "{mail}");
    // The one that cron enqueued itself came a moment before or after.
    let listed = loop {
        let listed = String::from_utf8(system.run(&format!("{PROGRAM} list --json")).stdout).expect("UTF-8");
        if listed.contains("backup failed") || Instant::now() > until {
            break listed;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    // cron enqueues that one every minute, and on a slow machine more than one may be over by now.
    let (by_cron, by_hand): (Vec<_>, Vec<_>) = listed.lines().partition(|row| row.contains("backup failed"));
    assert!(!by_cron.is_empty() && by_hand.len() == 1, "{listed}");
    assert_eq!(system.mailed(), None, "a pass that went well is silent");
}

#[test]
fn every_other_line_of_the_crontab_runs_and_is_silent() {
    let system = System::new();
    let enqueued = system.run(&format!("{PROGRAM} enqueue --to ops@example.org hello"));
    assert!(enqueued.status.success(), "{enqueued:?}");
    let mut lines = 0;
    for command in commands() {
        lines += 1;
        // As cron does it: an escaped % is a %.
        let Output { status, stdout, stderr } = system.run(&command.replace("\\%", "%"));
        assert!(
            status.success() && stdout.is_empty() && stderr.is_empty(),
            "{command}: {status}\n{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
    }
    assert_eq!(lines, 3);
    assert_eq!(fs::read_dir(system.path("var/backups/notifyctl")).expect("the backups").count(), 1);
}

/// Of a damaged store no copy is made, week after week: the last sound one must not be tidied away meanwhile.
#[test]
fn old_copies_go_only_when_there_is_a_new_one() {
    let system = System::new();
    let backup =
        commands().find(|command| command.contains("db backup")).expect("it is there").replace("\\%", "%");
    let folder = system.path("var/backups/notifyctl");
    fs::create_dir(&folder).expect("make the folder");
    let two_months_ago = SystemTime::now() - 60 * Duration::from_secs(86_400);
    for name in ["old.db", "old.db.partial"] {
        let file = fs::File::create(folder.join(name)).expect("make it");
        file.set_modified(two_months_ago).expect("age it");
    }
    assert_eq!(system.run(&backup).status.code(), Some(66), "there is no store");
    assert_eq!(fs::read_dir(&folder).expect("the backups").count(), 2);
    assert!(system.run(&format!("{PROGRAM} enqueue --to ops@example.org hello")).status.success());
    assert!(system.run(&backup).status.success());
    assert!(fs::read_dir(&folder).expect("the backups").count() == 1 && !folder.join("old.db").exists());
}

/// What the crontab runs, without the times.
fn commands() -> impl Iterator<Item = String> {
    let lines: Vec<_> = crontab().lines().map(str::to_owned).collect();
    let lines = lines.into_iter().filter(|line| line.contains(" * ") && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().skip(5).collect::<Vec<_>>().join(" "))
}

/// cron, ended when dropped.
struct Cron(Child);

impl Drop for Cron {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder that looks like a small Debian with cron and notifyctl.
struct System {
    folder: TempDir,
}

impl System {
    fn new() -> Self {
        let system = Self { folder: tempfile::tempdir().expect("a folder of our own") };
        for folder in [
            "etc/pam.d",
            "var/spool/cron/crontabs",
            "run",
            "var/run",
            "var/backups",
            "usr/local/sbin",
            "dev",
            "root",
            "tmp",
        ] {
            fs::create_dir_all(system.path(folder)).expect("make the folder");
        }
        let permit = fs::canonicalize(pam_permit()).expect("pam_permit.so");
        for program in ["/usr/sbin/cron", "/bin/sh", "/bin/date", "/bin/mkdir", "/usr/bin/find"] {
            system.install(Path::new(program), program);
        }
        system.install(Path::new(env!("CARGO_BIN_EXE_notifyctl")), PROGRAM);
        system.install(&permit, permit.to_str().expect("UTF-8"));
        let pam =
            ["auth", "account", "session"].map(|kind| format!("{kind} required {}\n", permit.display()));
        system.write("etc/pam.d/cron", &pam.concat());
        system.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        system.write("etc/group", "root:x:0:\n");
        system.write("etc/nsswitch.conf", "passwd: files\ngroup: files\n");
        system.write("dev/null", "");
        // What cron would mail is kept.
        let keep = "#!/bin/sh\nwhile read -r line; do echo \"$line\"; done >>/mailed\n";
        program::write(&system.path("usr/sbin/sendmail"), keep);
        system
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    fn write(&self, inside: &str, text: &str) {
        fs::write(self.path(inside), text).unwrap_or_else(|error| panic!("{inside}: {error}"));
    }

    /// Copies a program, or a library, with all that it needs.
    fn install(&self, from: &Path, to: &str) {
        let needs = Command::new("ldd").arg(from).output().expect("run ldd");
        let needs = String::from_utf8(needs.stdout).expect("UTF-8");
        let libraries: BTreeSet<&str> =
            needs.split_whitespace().filter(|word| word.starts_with('/')).collect();
        let files = libraries.into_iter().map(|path| (Path::new(path), path)).chain([(from, to)]);
        for (from, to) in files.filter(|(_, to)| !self.path(to).exists()) {
            program::copy(from, &self.path(to));
        }
    }

    fn crontab(&self, text: &str) {
        let path = "var/spool/cron/crontabs/root";
        self.write(path, text);
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o600)).expect("cron insists");
    }

    fn command(&self, program: &str) -> Command {
        let root = is_root();
        let mut command = match root {
            true => Command::new("/usr/sbin/chroot"),
            false => Command::new("/usr/bin/unshare"),
        };
        if !root {
            command.args(["--map-root-user", "--map-auto", "/usr/sbin/chroot"]);
        }
        command.arg(self.folder.path()).arg(program).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin").current_dir("/");
        command
    }

    /// Runs one line as cron does.
    fn run(&self, line: &str) -> Output {
        let mut command = self.command("/bin/sh");
        command.args(["-c", line]).env("HOME", "/root").env("PATH", "/usr/bin:/bin");
        command.output().expect("run a shell")
    }

    /// What cron mailed, if it did.
    fn mailed(&self) -> Option<String> {
        fs::read_to_string(self.path("mailed")).ok()
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").expect("/proc").uid() == 0
}

/// The one module of PAM that is needed, wherever this architecture keeps it.
fn pam_permit() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("/usr/lib");
    let mut found = folders.map(|folder| folder.expect("a folder").path().join("security/pam_permit.so"));
    found.find(|path| path.exists()).expect("pam_permit.so, from libpam-modules")
}

fn crontab() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/crontab");
    fs::read_to_string(path).expect("etc/crontab")
}
