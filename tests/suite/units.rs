//! The service managers' files, each held against the manager itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Sandbox;
use crate::support::ports::free_port;

const PROGRAM: &str = "/usr/local/bin/notifyctl";
const PATIENCE: Duration = Duration::from_secs(30);

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies of the units that name the binary under test.
fn units(folder: &Path) -> Vec<PathBuf> {
    let mut copies = Vec::new();
    for unit in fs::read_dir(top().join("systemd")).expect("the units") {
        let unit = unit.expect("a unit").path();
        let text = fs::read_to_string(&unit).expect("read the unit");
        let copy = folder.join(unit.file_name().expect("a name"));
        fs::write(&copy, text.replace(PROGRAM, env!("CARGO_BIN_EXE_notifyctl"))).expect("copy it");
        copies.push(copy);
    }
    copies.sort();
    copies
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(units(folder.path()))
        .output()
        .expect("run systemd-analyze");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn systemd_rates_the_exposure_of_each_service_at_one_and_a_half_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    for service in
        units(folder.path()).iter().filter(|unit| unit.extension().is_some_and(|it| it == "service"))
    {
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
            .arg(service)
            .output()
            .expect("run systemd-analyze");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("Overall exposure level"), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}");
    }
}

/// The daemon runs behind walls: where the papers say that something may lie, its unit lets it write.
#[test]
fn what_the_papers_name_as_places_is_open_to_the_service() {
    let read = |path: &str| fs::read_to_string(top().join(path)).expect("read it");
    let (unit, papers) = (read("systemd/notifyctl.service"), read("etc/notifyctl.toml"));
    let after = |text: &str, key: &str| -> String {
        let found = text.lines().find_map(|line| line.strip_prefix(key));
        found.unwrap_or_else(|| panic!("`{key}` is there")).trim_matches('"').to_owned()
    };
    let socket = after(&papers, "# socket = ");
    assert_eq!(
        Path::new(&socket).parent(),
        Some(&*Path::new("/run").join(after(&unit, "RuntimeDirectory=")))
    );
    let (_, backup) = papers.split_once("\n[backup]\n").expect("a table");
    assert_eq!(after(backup, "# to = "), after(&unit, "ReadWritePaths=-"));
}

/// Walls behind which something that the papers promise is not so.
#[test]
fn no_wall_hides_what_a_service_has_to_see() {
    for unit in ["notifyctl.service", "notifyctl-send-pending.service"] {
        let text = fs::read_to_string(top().join("systemd").join(unit)).expect("read it");
        let says = |start: &str| text.lines().any(|line| line.starts_with(start));
        // The folder is root's: with a mode that shuts others out, one that systemd has made lets no service in.
        assert!(says("ConfigurationDirectory=") && !says("ConfigurationDirectoryMode="), "{unit}");
        // Whoever asks by the socket would be `nobody`, and `socket_users` name no one.
        assert!(!says("PrivateUsers="), "{unit}");
        // The boot has no name then: what the machine's crash left is not told from what a process left.
        assert!(!says("ProcSubset="), "{unit}");
    }
}

/// `tests/container` plays it where there is a podman.
#[test]
fn the_containers_configuration_and_probes_can_be_used() {
    let recipe = fs::read_to_string(top().join("etc/container/notifyctl.yaml")).expect("the recipe");
    let (_, rest) = recipe.split_once("notifyctl.toml: |\n").expect("a configuration");
    let (text, _) = rest.split_once("---\n").expect("its end");
    let sandbox = Sandbox::new();
    let text = text.replace("/var/lib/notifyctl", &sandbox.path().display().to_string());
    fs::write(sandbox.path().join("notifyctl.toml"), text.replace("\n    ", "\n").trim_start())
        .expect("write it");
    sandbox.ok(&["config", "check"]);

    let commands =
        recipe.lines().filter_map(|line| line.trim().strip_prefix("command: [")?.strip_suffix(']'));
    let commands: Vec<Vec<_>> = commands.map(|words| words.split(", ").collect()).collect();
    assert_eq!(commands.len(), 3, "the daemon, and two probes: {commands:?}");
    for words in commands {
        assert_eq!(words[0], PROGRAM);
        notifyctl::cli::command().try_get_matches_from(&words).expect("a command line");
    }
}

/// supervisord with our program alone; it ends with its program when dropped.
struct Supervisor<'a> {
    process: Child,
    sandbox: &'a Sandbox,
}

impl<'a> Supervisor<'a> {
    /// Starts it on `supervisor/notifyctl.conf`, with this folder in place of the system's.
    fn start(sandbox: &'a Sandbox) -> Self {
        let path = sandbox.path().display().to_string();
        let ours = fs::read_to_string(top().join("supervisor/notifyctl.conf")).expect("read our program");
        let whoever = ours.lines().filter(|line| !line.starts_with("user=")).map(|line| format!("{line}\n"));
        let program = whoever
            .collect::<String>()
            .replace(PROGRAM, env!("CARGO_BIN_EXE_notifyctl"))
            .replace("/var/log", &path)
            .replace("environment=", &format!("environment=NOTIFYCTL_HTTP__LISTEN=\"127.0.0.1:0\",NOTIFYCTL_CONFIG=\"{path}/notifyctl.toml\","));
        assert!(program.contains("NOTIFYCTL_CONFIG") && program.contains(&format!("stdout_logfile={path}/")));
        let head = format!(
            "[supervisord]\nlogfile={path}/supervisord.log\npidfile={path}/supervisord.pid\nchildlogdir={path}\n\
             [unix_http_server]\nfile={path}/supervisor.sock\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl=unix://{path}/supervisor.sock\n"
        );
        fs::write(sandbox.path().join("supervisord.conf"), head + &program).expect("write its configuration");
        let process = Command::new("supervisord")
            .args(["--nodaemon", "--configuration"])
            .arg(sandbox.path().join("supervisord.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start supervisord");
        Self { process, sandbox }
    }

    fn control(&self, args: &[&str]) -> String {
        let output = Command::new("supervisorctl")
            .arg("--configuration")
            .arg(self.sandbox.path().join("supervisord.conf"))
            .args(args)
            .output()
            .expect("run supervisorctl");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The daemon's process, once supervisord calls it running.
    fn running(&self) -> String {
        until("running", || self.control(&["status", "notifyctl"]).contains("RUNNING"));
        self.control(&["pid", "notifyctl"]).trim().to_owned()
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn supervisor_keeps_the_daemon_alive_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let supervisor = Supervisor::start(&sandbox);
    let first = supervisor.running();
    let sent = |id: &str| {
        until("sent", || sandbox.ok(&["show", id.trim()]).contains("  sent"));
    };
    sent(&sandbox.ok(&["enqueue", "--to", "ops@example.org", "before"]));
    assert!(Command::new("kill").args(["-KILL", &first]).status().expect("run kill").success());
    let meanwhile = sandbox.ok(&["enqueue", "--to", "ops@example.org", "meanwhile"]);
    until("another process", || supervisor.running() != first);
    sent(&meanwhile);
    sandbox.configure("[channels.new]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n");
    supervisor.control(&["signal", "HUP", "notifyctl"]);
    sent(&sandbox.ok(&["enqueue", "--channel", "new", "--to", "ops", "after a reload"]));
    let stopped = supervisor.control(&["stop", "notifyctl"]);
    assert!(stopped.contains("stopped"), "{stopped}");
    // Drained, not killed.
    let said = fs::read_to_string(sandbox.path().join("supervisord.log")).expect("its log");
    assert!(said.contains("stopped: notifyctl (exit status 0)"), "{said}");
    sandbox.ok(&["db", "check"]);
}

/// A daemon that is started by the first connection; ended when dropped.
struct Activated(Child);

impl Activated {
    fn by(sandbox: &Sandbox, port: u16, socket: &Path) -> Self {
        let mut command = Command::new("systemd-socket-activate");
        command
            .arg(format!("--listen=127.0.0.1:{port}"))
            .arg(format!("--listen={}", socket.display()))
            .arg(format!("--setenv=NOTIFYCTL_CONFIG={}/notifyctl.toml", sandbox.path().display()))
            .args([env!("CARGO_BIN_EXE_notifyctl"), "daemon"])
            .env("HOME", sandbox.path())
            .stdin(Stdio::null())
            .stderr(fs::File::create(sandbox.path().join("log")).expect("make the log"));
        let activated = Self(command.spawn().expect("run systemd-socket-activate"));
        until("systemd listens", || socket.exists());
        activated
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[test]
fn sockets_that_systemd_listens_on_are_taken_over_and_who_came_before_is_answered() {
    let sandbox = Sandbox::new();
    // Nothing of this is listened on.
    let own = sandbox.path().join("own.sock");
    sandbox.configure(&format!(
        "[daemon]\nroles = \"http\"\n[http]\nlisten = \"127.0.0.1:1\"\nsocket = \"{}\"\nloopback_without_token = true\n",
        own.display()
    ));
    let port = free_port();
    let socket = sandbox.path().join("handed.sock");
    let daemon = Activated::by(&sandbox, port, &socket);
    let post = |args: &[&str]| {
        let output = Command::new("curl")
            .args(["-s", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(["--json", r#"{"to":"ops@example.org","message":"x"}"#])
            .args(args)
            .output();
        String::from_utf8(output.expect("run curl").stdout).expect("UTF-8")
    };
    let log = || fs::read_to_string(sandbox.path().join("log")).expect("the log");
    let url = format!("http://127.0.0.1:{port}/v1/notifications");
    assert_eq!(post(&[&url]), "202", "{}", log());
    assert_eq!(
        post(&["--unix-socket", &socket.display().to_string(), "http://localhost/v1/notifications"]),
        "202"
    );
    assert!(!own.exists());
    drop(daemon);
    // It is not ours to take away.
    assert!(socket.exists());
    assert_eq!(sandbox.accepted(), 2);
}

#[test]
fn sockets_for_which_there_is_no_role_are_told_of() {
    let sandbox = Sandbox::new();
    sandbox.configure("[daemon]\nroles = \"sender\"\n");
    let port = free_port();
    let _daemon = Activated::by(&sandbox, port, &sandbox.path().join("handed.sock"));
    let _nobody_answers = std::net::TcpStream::connect(("127.0.0.1", port)).expect("systemd listens");
    let log = || fs::read_to_string(sandbox.path().join("log")).expect("the log");
    until("the daemon says so", || log().contains("nobody answers there: the role http is off"));
}
