//! The configuration as an operator meets it: what is said of a slip, who wins, what is shown.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::support::Sandbox;

mod log;

/// Standard error with the sandbox's own folder left out.
fn said(sandbox: &Sandbox, stderr: &str) -> String {
    stderr.replace(&format!("{}/", sandbox.path().display()), "").trim_end().to_owned()
}

/// What is said when `text` is the configuration.
fn refused(text: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.configure(text);
    said(&sandbox, &sandbox.fails(78, &["config", "check"]))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

// --- What is said of a slip -------------------------------------------------------------------------------------

#[test]
fn an_unknown_key_is_answered_with_file_line_path_and_suggestion() {
    insta::assert_snapshot!(refused("busy_timout = \"5s\"\n"), @r"
    notifyctl: notifyctl.toml:3: store.busy_timout: is no key of [store]; did you mean `busy_timeout`?
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
    insta::assert_snapshot!(refused("[channels.relay]\nkind = \"smtp\"\nhots = \"x\"\n"), @r"
    notifyctl: notifyctl.toml:5: channels.relay.hots: is no key of a channel of kind smtp; did you mean `host`?
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
}

#[test]
fn an_unknown_kind_is_answered_with_every_kind() {
    insta::assert_snapshot!(refused("[channels.relay]\nkind = \"mail\"\n"), @r"
    notifyctl: notifyctl.toml:4: channels.relay.kind: `mail` is not a kind of channel (one of smtp, webhook, exec, file)
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
}

#[test]
fn a_secret_of_the_wrong_type_is_not_shown() {
    let relay = "[channels.relay]\nkind = \"smtp\"\nhost = \"x\"\nuser = \"u\"\npassword = 12345678\n";
    insta::assert_snapshot!(refused(relay), @r"
    notifyctl: notifyctl.toml:7: channels.relay.password: is an integer, where a string is expected
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
    insta::assert_snapshot!(refused("[channels.relay]\npassword = hunter2\n"), @r"
    notifyctl: notifyctl.toml:4: string values must be quoted, expected literal string
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
}

#[test]
fn a_bad_rate_is_answered_with_its_place_in_the_list() {
    let text = "[channels.outbox]\nrate = [\"5/s\", \"50/0s\"]\n";
    insta::assert_snapshot!(refused(text), @r"
    notifyctl: notifyctl.toml:4: channels.outbox.rate[1]: `50/0s` is not a rate like `50/10s` or `300/min` (at least 1, over one second to 31 days)
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
}

#[test]
fn a_key_that_is_set_twice_is_an_error() {
    insta::assert_snapshot!(refused("url = \"sqlite:///other.db\"\n"), @r"
    notifyctl: notifyctl.toml:3: `url` is set twice in one table
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
}

#[test]
fn a_variable_that_cannot_be_meant_is_named() {
    let sandbox = Sandbox::new();
    let said_of = |name: &str, value: &str| {
        let output = sandbox.notifyctl().args(["config", "check"]).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(78));
        said(&sandbox, &String::from_utf8_lossy(&output.stderr))
    };
    insta::assert_snapshot!(said_of("NOTIFYCTL_STORE__BUSY_TIMEOUT", "5"), @r"
    notifyctl: $NOTIFYCTL_STORE__BUSY_TIMEOUT: store.busy_timeout: `5` has no unit; write `5s` for seconds or `5m` for minutes
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
    sandbox.configure(
        "[channels.a-b]\nkind = \"smtp\"\nhost = \"h\"\n[channels.a_b]\nkind = \"smtp\"\nhost = \"h\"\n",
    );
    let said = said_of("NOTIFYCTL_CHANNELS__A_B__HOST", "x");
    assert!(
        said.contains("$NOTIFYCTL_CHANNELS__A_B__HOST: ") && said.contains("means `a-b` and `a_b` alike"),
        "{said}"
    );
    sandbox.configure("");
    insta::assert_snapshot!(said_of("NOTIFYCTL_STORE_URL", "sqlite:///x.db"), @r"
    notifyctl: $NOTIFYCTL_STORE_URL: a table and its key are joined by two underscores: NOTIFYCTL_STORE__URL
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
}

#[test]
fn a_cache_that_no_daemon_could_use_is_found_before_one_is_started() {
    for (cache, says) in [
        ("url = \"http://localhost\"", "cache.url"),
        ("url = \"rediss://localhost\"\nca_file = \"/nowhere.pem\"", "notifyctl.toml:5: cache.ca_file: "),
        (
            "url = \"redis://localhost\"\nuser = \"web\"\npassword_file = \"/nowhere\"",
            "notifyctl.toml:6: cache.password_file: ",
        ),
        ("url = \"redis://localhost\"\nuser = \"web\"", "cache.user"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.configure(&format!("[cache]\n{cache}\n"));
        let stderr = said(&sandbox, &sandbox.fails(78, &["config", "check"]));
        assert!(stderr.contains(says), "{cache}: {stderr}");
        assert!(stderr.contains("cache cannot be used as configured") || stderr.contains("hint"), "{stderr}");
    }
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[cache]\nurl = \"redis://127.0.0.1:1\"\n[http]\nsocket_users = \"nobody-of-this-name:read\"\n",
    );
    let stderr = sandbox.fails(78, &["config", "check"]);
    assert!(stderr.contains("http.socket_users: user `nobody-of-this-name`"), "{stderr}");
    // Nobody listens there, which nobody asks; nothing is made.
    sandbox.configure("[cache]\nurl = \"redis://127.0.0.1:1\"\n");
    assert!(sandbox.ok(&["config", "check"]).contains("cache: redis://127.0.0.1:1/0\n"));
    let left: Vec<_> =
        fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notifyctl.toml"]);
}

#[test]
fn a_file_that_is_named_and_missing_is_an_error() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path().join("missing.toml");
    let stderr = sandbox.fails(78, &["--config", missing.to_str().unwrap(), "config", "check"]);
    insta::assert_snapshot!(said(&sandbox, &stderr), @r"
    notifyctl: read missing.toml: No such file or directory (os error 2)
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
    fs::remove_file(sandbox.path().join("notifyctl.toml")).unwrap();
    insta::assert_snapshot!(said(&sandbox, &sandbox.fails(78, &["config", "check"])), @r"
    notifyctl: read notifyctl.toml: No such file or directory (os error 2); $NOTIFYCTL_CONFIG names it
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
}

#[test]
fn a_file_that_may_not_be_read_is_an_error_and_not_passed_over() {
    let sandbox = Sandbox::new();
    let own = sandbox.path().join(".config/notifyctl");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("notifyctl.toml"), "").unwrap();
    set_mode(&own.join("notifyctl.toml"), 0o000);
    let mut command = powerless(sandbox.notifyctl());
    let output = command.args(["config", "check"]).env_remove("NOTIFYCTL_CONFIG").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    insta::assert_snapshot!(said(&sandbox, &String::from_utf8_lossy(&output.stderr)), @r"
    notifyctl: read .config/notifyctl/notifyctl.toml: Permission denied (os error 13); the user who runs notifyctl has to be able to read it: chgrp gives it to their group
    notifyctl: hint: notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending
    ");
}

/// The same command without root's leave to read everything, if it is root who runs the tests.
pub fn powerless(command: Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        return command;
    }
    let mut wrapped = Command::new("setpriv");
    wrapped.arg("--bounding-set=-dac_override,-dac_read_search").arg(command.get_program());
    wrapped.args(command.get_args()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

// --- config init ------------------------------------------------------------------------------------------------

#[test]
fn init_writes_a_file_for_its_owner_and_group_and_never_over_another() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("new/folder/notifyctl.toml");
    let output = ["config", "init", "--output", path.to_str().unwrap()];
    assert_eq!(sandbox.ok(&output).trim_end(), path.display().to_string());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o137, 0, "writable or readable by too many");
    let sample = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/etc/notifyctl.toml")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), sample);

    fs::write(&path, "# mine\n").unwrap();
    insta::assert_snapshot!(said(&sandbox, &sandbox.fails(73, &output)), @r"
    notifyctl: make new/folder/notifyctl.toml: File exists (os error 17)
    notifyctl: hint: it was left as it is; --force replaces it
    ");
    assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n");
    sandbox.ok(&[&output[..], &["--force"]].concat());
    assert_eq!(fs::read_to_string(&path).unwrap(), sample);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "something was left behind");
    assert_eq!(sandbox.ok(&["config", "init", "--output", "-"]), sample);
}

#[test]
fn init_writes_the_file_that_is_read_afterwards() {
    let sandbox = Sandbox::new();
    let named = sandbox.path().join("notifyctl.toml");
    fs::remove_file(&named).unwrap();
    assert_eq!(sandbox.ok(&["config", "init"]).trim_end(), named.display().to_string());
    let shown = sandbox.ok(&["config", "show"]);
    assert_eq!(shown.lines().next(), Some(&*format!("# {}", named.display())));
}

// --- config check -----------------------------------------------------------------------------------------------

#[test]
fn check_says_what_it_found_and_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[log]\nfile = \"/nonexistent/n.log\"\n[defaults]\nchannel = \"ops\"\n\
         [channels.ops]\nkind = \"exec\"\ncommand = [\"true\"]\n",
    );
    let output = sandbox.notifyctl().args(["config", "check"]).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    insta::assert_snapshot!(stdout.replace(&format!("{}/", sandbox.path().display()), ""), @r"
    configuration: notifyctl.toml
    store: sqlite://state/notifyctl.db
    channel ops: exec, the default
    channel outbox: file
    ok
    ");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("WARN log log.file: /nonexistent/n.log: No such file"), "{stderr}");
    assert_eq!(fs::read_dir(sandbox.path()).unwrap().count(), 1, "something was made");
}

#[test]
fn check_tries_the_secrets_of_every_channel() {
    let sandbox = Sandbox::new();
    let hook = |name: &str, secret: &str| format!("[channels.{name}]\nkind = \"webhook\"\n{secret}\n");
    let text = [
        hook("a", "url_file = \"/nonexistent/url\""),
        hook("b", "url = \"hunter2\""),
        hook("c", "url_credential = \"url\""),
        hook("d", "url_command = [\"sh\", \"-c\", \"echo hunter2; exit 1\"]"),
    ];
    sandbox.configure(&text.concat());
    set_mode(&sandbox.path().join("notifyctl.toml"), 0o640);
    insta::assert_snapshot!(said(&sandbox, &sandbox.fails(78, &["config", "check"])), @r"
    notifyctl: notifyctl.toml:5: channels.a.url_file: read /nonexistent/url: No such file or directory (os error 2)
    notifyctl: notifyctl.toml:8: channels.b.url: is not a URL (relative URL without a base); write one like https://example.org/hook
    notifyctl: notifyctl.toml:11: channels.c.url_credential: there is no credential `url`: $CREDENTIALS_DIRECTORY is not set (see LoadCredential= in systemd.exec(5))
    notifyctl: notifyctl.toml:14: channels.d.url_command: `sh` ended with exit status: 1
    notifyctl: some channels cannot be used as configured
    ");
}

#[test]
fn check_warns_of_a_secret_that_everybody_can_read_whatever_is_logged() {
    let sandbox = Sandbox::new();
    let secret = sandbox.path().join("url");
    fs::write(&secret, "https://example.org/hunter2\n").unwrap();
    set_mode(&secret, 0o644);
    let file = format!(
        "[log]\nlevel = \"off\"\n[channels.a]\nkind = \"webhook\"\nurl_file = \"{}\"\n",
        secret.display()
    );
    let inline = "[channels.b]\nkind = \"webhook\"\nurl = \"https://example.org/hunter2\"\n";
    sandbox.configure(&format!("{file}{inline}"));
    set_mode(&sandbox.path().join("notifyctl.toml"), 0o644);
    let output = sandbox.notifyctl().args(["config", "check"]).output().unwrap();
    assert!(output.status.success());
    let stderr = said(&sandbox, &String::from_utf8_lossy(&output.stderr));
    let warnings: Vec<_> = stderr.lines().filter_map(|line| line.split_once(" WARN ")).collect();
    assert_eq!(
        warnings.iter().map(|(_, warning)| *warning).collect::<Vec<_>>(),
        [
            "secret url can be read by everybody (mode 0644); cure: chmod 0600 url",
            "secret notifyctl.toml holds a secret (channels.b.url) and can be read by everybody (mode 0644); \
             cure: chmod 0640 notifyctl.toml",
        ],
        "{stderr}"
    );
    set_mode(&secret, 0o600);
    set_mode(&sandbox.path().join("notifyctl.toml"), 0o640);
    let output = sandbox.notifyctl().args(["config", "check"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_systemd_credential_is_read_by_its_name() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("credentials");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("hook"), "https://example.org/hook\n").unwrap();
    set_mode(&folder.join("hook"), 0o400);
    sandbox.configure("[channels.a]\nkind = \"webhook\"\nurl_credential = \"hook\"\n");
    let output = sandbox.notifyctl().args(["config", "check"]).env("CREDENTIALS_DIRECTORY", &folder).output();
    assert!(output.unwrap().status.success());
}

// --- config show ------------------------------------------------------------------------------------------------

#[test]
fn show_says_what_holds_and_where_it_comes_from() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[channels.relay]\nkind = \"smtp\"\nhost = \"relay.example.org\"\nrate = [\"5/s\", \"300/min\"]\n",
    );
    let show = |args: &[&str]| {
        let mut command = sandbox.notifyctl();
        command.args(["config", "show"]).args(args).env("NOTIFYCTL_CHANNELS__RELAY__PORT", "2525");
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().replace(&format!("{}/", sandbox.path().display()), "")
    };
    insta::assert_snapshot!(show(&["--origin"]), @r#"
    # notifyctl.toml

    [store]
    busy_timeout = "5s" # default
    url = "sqlite://state/notifyctl.db" # notifyctl.toml:2

    [defaults]
    channel = "outbox" # default
    key_window = "1d" # default

    [limits]
    attachments = "10MiB" # default
    message = "1MiB" # default

    [log]
    format = "text" # default
    level = "warn" # default

    [daemon]
    drain = "8s" # default
    roles = ["http", "sender", "maintenance"] # default

    [http]
    address_limit = "100/1s" # default
    cors_origins = [] # default
    listen = "127.0.0.1:8025" # default
    loopback_without_token = false # default
    max_body = "16MiB" # default
    max_connections = 4096 # default
    max_pending = 1000000 # default
    proxies = [] # default
    socket_groups = [] # default
    socket_users = [] # default
    token_limit = "100/1s" # default

    [retention]
    at = "02:00" # default
    cancelled = "30d" # default
    dead = "keep" # default
    expired = "30d" # default
    sent = "30d" # default

    [backup]
    at = "02:00" # default
    keep = 7 # default

    [cache]
    max_age = "250ms" # default
    result_ttl = "1h" # default
    timeout = "60ms" # default

    [channels.outbox]
    kind = "file" # default
    format = "maildir" # default
    give_up_after = "5d" # default
    max_in_flight = 4 # default
    on_unknown = "retry" # default
    path = "state/outbox" # default
    retry = "30s, 5m, 30m" # default
    timeout = "30s" # default

    [channels.relay]
    kind = "smtp" # notifyctl.toml:4
    auth = "auto" # default
    give_up_after = "5d" # default
    host = "relay.example.org" # notifyctl.toml:5
    max_in_flight = 4 # default
    on_unknown = "retry" # default
    port = 2525 # $NOTIFYCTL_CHANNELS__RELAY__PORT
    rate = ["5/1s", "300/1m"] # notifyctl.toml:6
    retry = "1m, 5m, 15m, 30m, 1h*4, 4h*29" # default
    timeout = "1m" # default
    tls = "opportunistic" # default
    "#);
    let json: serde_json::Value = serde_json::from_str(&show(&["--json", "--origin"])).unwrap();
    assert_eq!(json["file"], "notifyctl.toml");
    assert_eq!(json["config"]["channels"]["relay"]["port"], 2525);
    assert_eq!(json["origins"]["channels.relay.port"], "$NOTIFYCTL_CHANNELS__RELAY__PORT");
    let json: serde_json::Value = serde_json::from_str(&show(&["--json"])).unwrap();
    assert_eq!(json.get("origins"), None);
}

#[test]
fn what_is_shown_reads_back_as_the_same() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[defaults]\nttl = \"2h 30m\"\n[limits]\nmessage = \"1500B\"\n[log]\nfile = \"/var/log/n.log\"\n\
         [channels.\"a.b\"]\nkind = \"smtp\"\nhost = \"x\"\nretry = \"never\"\nfrom = \"\\\"O, P\\\" <a@example.org>\"\n\
         user = \"u\"\ntoken_command = [\"sh\", \"-c\", \"echo '\\\"'\"]\nto = [\"a@example.org\", \"b@example.org\"]\n",
    );
    let shown = sandbox.ok(&["config", "show"]);
    let copy = sandbox.path().join("copy.toml");
    fs::write(&copy, &shown).unwrap();
    let again = sandbox.ok(&["--config", copy.to_str().unwrap(), "config", "show"]);
    let values = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(values(&again), values(&shown));
}
