//! `notifyctl token`, through the binary.

use std::process::{Command, Stdio};

use notifyctl::secret::token;
use serde_json::Value;

use crate::support::Sandbox;
use crate::support::daemon::until;

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn create(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.ok(&[&["token", "create"], args].concat()).trim_end().to_owned()
}

#[test]
fn a_token_is_shown_once_and_nothing_of_it_is_kept() {
    let sandbox = Sandbox::new();
    let made =
        sandbox.notifyctl().args(["token", "create", "--name", "shop", "--scope", "enqueue,read"]).output();
    let made = made.expect("run notifyctl");
    let (stdout, stderr) = (String::from_utf8(made.stdout).unwrap(), String::from_utf8(made.stderr).unwrap());
    let text = stdout.strip_suffix('\n').expect("one line");
    let (id, _) = token::split(text).expect("a token");
    assert!(stderr.contains("not shown again") && stderr.contains(&format!("revoke {id}")), "{stderr}");
    let secret = text.rsplit_once(&format!("nctl_{id}_")).expect("a secret").1;
    assert!(!stderr.contains(secret));
    // Neither in words nor on the disk.
    assert!(!sandbox.ok(&["token", "list", "--json"]).contains(secret));
    for entry in std::fs::read_dir(sandbox.db().parent().expect("a folder")).expect("the folder") {
        let path = entry.expect("an entry").path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
    }
}

#[test]
fn a_token_that_cannot_be_shown_is_good_for_nobody() {
    let sandbox = Sandbox::new();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let made = sandbox
        .notifyctl()
        .args(["token", "create", "--name", "shop", "--scope", "read"])
        .stdout(full)
        .output();
    let made = made.expect("run notifyctl");
    let said = String::from_utf8(made.stderr).unwrap();
    assert_eq!(made.status.code(), Some(74), "{said}");
    assert!(said.contains("was revoked; make another one") && !said.contains("nctl_"), "{said}");
    assert_eq!(json(&sandbox.ok(&["token", "list", "--json"]))[0]["standing"], "revoked");
}

#[test]
fn a_list_tells_who_may_what_until_when() {
    let sandbox = Sandbox::new();
    create(&sandbox, &["--name", "shop", "--scope", "enqueue"]);
    let made =
        create(&sandbox, &["--name", "ops", "--scope", "admin", "--scope", "read", "--ttl", "90d", "--json"]);
    let made = &json(&made)[0];
    assert!(token::split(made["token"].as_str().expect("the token")).is_some());
    create(&sandbox, &["--name", "old", "--scope", "personal", "--ttl", "1ms"]);
    sandbox.ok(&["token", "revoke", "1"]);
    let rows = json(&sandbox.ok(&["token", "list", "--json"]));
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (row["name"].as_str().unwrap(), row["scopes"].to_string(), row["standing"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("shop", r#"["enqueue"]"#.into(), "revoked"),
            ("ops", r#"["read","admin"]"#.into(), "good"),
            ("old", r#"["personal"]"#.into(), "expired"),
        ]
    );
    assert!(
        rows[0]["revoked_at"].is_string() && rows[0]["expires_at"].is_null() && rows[1]["used_at"].is_null()
    );
    assert!(rows.iter().all(|row| row.get("token").is_none()));
    let table = sandbox.ok(&["token", "list"]);
    for word in ["shop", "read,admin", "revoked", "expired", "never"] {
        assert!(table.contains(word), "{table}");
    }
}

/// Who names none is asked for none: whoever makes it is who it is known by.
#[test]
fn a_token_without_a_name_is_called_after_who_makes_it() {
    let sandbox = Sandbox::new();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let uid = rustix::process::getuid().as_raw();
    let long = "x".repeat(2_000);
    let by_number = format!("uid {uid}");
    // Those of an administrator who became root are their own; what cannot be a name is passed over.
    let sudo = if uid == 0 { "ann" } else { "eve" };
    for (names, wanted) in [
        (&[][..], by_number.as_str()),
        (&[("LOGNAME", "eve")], "eve"),
        (&[("SUDO_USER", "ann"), ("LOGNAME", "eve")], sudo),
        (&[("LOGNAME", "a\nb"), ("USER", "bob")], "bob"),
        (&[("LOGNAME", " "), ("USER", long.as_str())], by_number.as_str()),
    ] {
        let args = ["token", "create", "--scope", "enqueue,read,admin", "--json"];
        let made =
            sandbox.notifyctl().args(args).envs(names.iter().copied()).output().expect("run notifyctl");
        assert!(made.status.success(), "{names:?}: {}", String::from_utf8_lossy(&made.stderr));
        let row = &json(&String::from_utf8(made.stdout).expect("UTF-8"))[0];
        assert_eq!(row["name"], format!("{wanted}@{host}"), "{names:?}");
    }
    let help = sandbox.ok(&["token", "create", "--help"]);
    assert!(help.contains("without it, USER@HOST of who makes it"), "{help}");
}

#[test]
fn who_made_and_who_revoked_a_token_is_on_record() {
    let sandbox = Sandbox::new();
    let log = sandbox.path().join("log");
    let configure = |level: &str| {
        sandbox.configure(&format!("[log]\nlevel = \"{level}\"\nfile = \"{}\"\n", log.display()));
    };
    let by = format!("by=\"uid {}\"", rustix::process::getuid().as_raw());
    configure("error");
    let token = create(&sandbox, &["--name", "web shop", "--scope", "enqueue,read"]);
    sandbox.ok(&["token", "revoke", "1"]);
    // It was revoked before, and nothing has changed.
    sandbox.ok(&["token", "revoke", "1"]);
    let said = std::fs::read_to_string(&log).expect("the log");
    let lines: Vec<_> =
        said.lines().map(|line| line.split_once(" INFO audit ").expect("an audit line").1).collect();
    let rest = format!("{by} ids=1 name=\"web shop\" scopes=enqueue,read");
    assert_eq!(lines, [format!("token create {rest}"), format!("token revoke {rest}")]);
    assert!(!said.contains(token.rsplit_once('_').expect("a secret").1), "{said}");
    configure("off");
    create(&sandbox, &["--name", "x", "--scope", "read"]);
    assert_eq!(std::fs::read_to_string(&log).expect("the log"), said);
}

#[test]
fn a_log_that_is_a_fifo_is_waited_for_by_nobody() {
    let sandbox = Sandbox::new();
    let log = sandbox.path().join("log");
    assert!(Command::new("mkfifo").arg(&log).status().expect("mkfifo").success());
    sandbox.configure(&format!("[log]\nlevel = \"info\"\nfile = \"{}\"\n", log.display()));
    for args in [&["token", "create", "--name", "x", "--scope", "read"][..], &["config", "check"]] {
        let mut command = sandbox.notifyctl();
        command.args(args).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run notifyctl");
        until("it has ended", || child.try_wait().expect("look").is_some());
        let said = child.wait_with_output().expect("what it said");
        let (code, said) = (said.status.code(), String::from_utf8(said.stderr).expect("UTF-8"));
        assert!(code == Some(0) && said.contains("log.file: "), "{args:?}: {code:?} {said}");
        assert!(said.contains("INFO audit token create ") || args[0] == "config", "{said}");
    }
    // Whoever reads it gets the lines.
    let mut reader = Command::new("cat").arg(&log).stdout(Stdio::piped()).spawn().expect("cat");
    until("a line is read", || {
        create(&sandbox, &["--name", "y", "--scope", "read"]);
        reader.try_wait().expect("look").is_some()
    });
    let read = reader.wait_with_output().expect("what it read").stdout;
    assert!(String::from_utf8(read).expect("UTF-8").contains("INFO audit token create "));
}

#[test]
fn revoking_is_for_ever_and_says_what_it_did() {
    let sandbox = Sandbox::new();
    assert!(sandbox.fails(66, &["token", "revoke", "1"]).contains("there is no store yet"));
    create(&sandbox, &["--name", "shop", "--scope", "enqueue"]);
    sandbox.ok(&["token", "revoke", "1"]);
    let again = sandbox.notifyctl().args(["token", "revoke", "1"]).output().expect("run notifyctl");
    assert!(again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("token 1 (shop) was revoked before"));
    assert!(sandbox.fails(66, &["token", "revoke", "2"]).contains("there is no token 2"));
}

#[test]
fn what_cannot_be_meant_makes_no_token() {
    let sandbox = Sandbox::new();
    sandbox.fails(64, &["token", "create", "--name", "shop"]);
    assert!(sandbox.fails(64, &["token", "create", "--name", "x", "--scope", "reed"]).contains("'read'"));
    assert!(
        sandbox
            .fails(64, &["token", "create", "--name", "x", "--scope", "read", "--ttl", "9"])
            .contains("unit")
    );
    assert!(
        sandbox
            .fails(65, &["token", "create", "--name", "x", "--scope", "read", "--ttl", "0s"])
            .contains("--ttl: is zero")
    );
    assert!(sandbox.fails(65, &["token", "create", "--name", " ", "--scope", "read"]).contains("--name"));
    assert!(sandbox.fails(65, &["token", "create", "--name", "a\nb", "--scope", "read"]).contains("--name"));
    assert!(!sandbox.db().exists());
}
