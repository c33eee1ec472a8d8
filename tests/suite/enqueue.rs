//! `notifyctl enqueue` for one notification per recipient: what is taken, what is refused, and how.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Output, Stdio};

use notifyctl::model::{Attachment, NewNotification, Priority, Timestamp};
use serde_json::Value;

use crate::support::Sandbox;

const TO: [&str; 2] = ["--to", "ops@example.org"];

fn enqueue(sandbox: &Sandbox, args: &[&str], input: &[u8]) -> Output {
    sandbox.run(&[&["enqueue"], args].concat(), input)
}

/// Expects exit `code` and an untouched store; gives standard error.
fn refused(sandbox: &Sandbox, code: i32, args: &[impl AsRef<OsStr>], input: &[u8]) -> String {
    let before = sandbox.accepted();
    let output = sandbox.run(args, input);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(output.stdout, b"", "nothing is printed for what was not enqueued");
    assert_eq!(sandbox.accepted(), before, "{stderr}");
    stderr
}

#[test]
fn one_id_is_printed_per_recipient_and_the_rest_is_stored_as_it_was_given() {
    let sandbox = Sandbox::new();
    let printed = sandbox.ok(&[
        "enqueue",
        "--to",
        "a@example.org",
        "--to",
        "b@example.org",
        "--subject",
        "Grüße",
        "--priority",
        "high",
        "--user",
        "u1",
        "--header",
        "X-Host: db 1",
        "--key",
        "k",
        "--ttl",
        "2h",
        "--in",
        "1h",
        "hällo\n.\n",
    ]);
    assert_eq!(printed, "1\n2\n");
    let stored = sandbox.store().get(2).unwrap().unwrap();
    let hour = 3_600_000;
    let created = stored.summary.created_at.0;
    assert_eq!(stored.summary.recipient, "b@example.org");
    assert_eq!(stored.summary.subject.as_deref(), Some("Grüße"));
    assert_eq!(stored.summary.priority, Priority::High);
    assert_eq!(stored.summary.user_id.as_deref(), Some("u1"));
    assert_eq!(stored.not_before, Some(Timestamp(created + hour)));
    assert_eq!(
        stored.summary.expires_at,
        Some(Timestamp(created + 3 * hour)),
        "counted from its earliest moment"
    );
    assert_eq!(stored.content.message, "hällo\n.\n");
    assert_eq!(stored.content.headers, [("X-Host".to_owned(), "db 1".to_owned())]);
    assert_eq!(stored.idempotency_key.as_deref(), Some("k"));
}

#[test]
fn the_message_comes_from_standard_input_byte_for_byte() {
    let sandbox = Sandbox::new();
    let text = "two\r\nlines\n\n.\n\u{1F980} and no end";
    for dash in [&["-"][..], &[]] {
        let output = enqueue(&sandbox, &[&TO[..], dash].concat(), text.as_bytes());
        let id = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        assert_eq!(sandbox.store().get(id).unwrap().unwrap().content.message, text);
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn json_tells_id_recipient_and_whether_it_is_new() {
    let sandbox = Sandbox::new();
    let args = ["enqueue", "--json", "--key", "k", "--to", "a@example.org", "--to", "b@example.org", "m"];
    let lines = |text: String| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let first = lines(sandbox.ok(&args));
    let wanted = |id, to, created| serde_json::json!({"id": id, "recipient": to, "channel": "outbox", "created": created});
    assert_eq!(first, [wanted(1, "a@example.org", true), wanted(2, "b@example.org", true)]);
    let again = lines(sandbox.ok(&args));
    assert_eq!(again, [wanted(1, "a@example.org", false), wanted(2, "b@example.org", false)]);
}

#[test]
fn a_repeated_key_gives_the_known_id_and_says_so() {
    let sandbox = Sandbox::new();
    let args = [&TO[..], &["--key", "nightly", "m"]].concat();
    assert_eq!(enqueue(&sandbox, &args, b"").stdout, b"1\n");
    let again = enqueue(&sandbox, &args, b"");
    assert_eq!((again.status.code(), again.stdout), (Some(0), b"1\n".to_vec()));
    assert_eq!(
        String::from_utf8(again.stderr).unwrap(),
        "notifyctl: 1: known by its key, not enqueued again\n"
    );
    assert_eq!(sandbox.accepted(), 1);
}

#[test]
fn the_same_recipient_twice_is_told_once() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.ok(&["enqueue", "--to", "a@example.org", "--to", "a@example.org", "m"]), "1\n");
}

#[test]
fn html_and_attachments_travel_with_it() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("a.html"), "<p>hi").unwrap();
    fs::write(sandbox.path().join("report.pdf"), b"%PDF\0\xff").unwrap();
    fs::write(sandbox.path().join("data.unheard-of"), b"").unwrap();
    let args = ["--html", "a.html", "--attach", "report.pdf", "--attach", "./data.unheard-of", "m"];
    let output = enqueue(&sandbox, &[&TO[..], &args].concat(), b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let content = sandbox.store().get(1).unwrap().unwrap().content;
    let attachment = |name: &str, media_type: &str, content: &[u8]| Attachment {
        name: name.into(),
        media_type: media_type.into(),
        content: content.into(),
    };
    assert_eq!(content.html.as_deref(), Some("<p>hi"));
    assert_eq!(
        sandbox.attachments(1),
        [
            attachment("report.pdf", "application/pdf", b"%PDF\0\xff"),
            attachment("data.unheard-of", "application/octet-stream", b"")
        ]
    );
}

#[test]
fn a_known_user_needs_no_recipient() {
    let sandbox = Sandbox::new();
    let said = refused(&sandbox, 65, &["enqueue", "--user", "u7", "m"], b"");
    assert!(said.contains("--user: is not a known user"), "{said}");
    assert!(!sandbox.db().exists(), "a question makes no store");
    sandbox.ok(&["user", "set", "u7", "--to", "seven@example.org", "--name", "Seven"]);
    sandbox.ok(&["enqueue", "--user", "u7", "m"]);
    assert_eq!(sandbox.store().get(1).unwrap().unwrap().summary.recipient, "seven@example.org");
    let shown: Value = serde_json::from_str(&sandbox.ok(&["user", "show", "u7", "--json"])).unwrap();
    assert_eq!((&shown["to"], &shown["name"]), (&"seven@example.org".into(), &"Seven".into()));
    sandbox.ok(&["user", "set", "u9", "--to", "nine\u{202e}@example.org", "--name", "N\u{2066}ine"]);
    let told = sandbox.ok(&["user", "show", "u9"]);
    assert!(
        told.contains("nine\u{fffd}@") && told.contains("N\u{fffd}ine"),
        "what it says cannot turn a line around: {told}"
    );
    assert!(sandbox.fails(66, &["user", "show", "u8"]).contains("no such user"));
    assert!(sandbox.fails(65, &["user", "set", "u8", "--to", "a\nb"]).contains("control character"));
}

#[test]
fn the_channel_may_name_who_is_told() {
    let sandbox = Sandbox::new();
    sandbox.configure("[channels.team]\nkind = \"file\"\npath = \"/nonexistent\"\nto = [\"a@example.org\", \"b@example.org\"]\n");
    assert_eq!(sandbox.ok(&["enqueue", "--channel", "team", "m"]), "1\n2\n");
    let said = refused(&sandbox, 65, &["enqueue", "m"], b"");
    assert!(said.contains("--to: is missing"), "{said}");
}

#[test]
fn an_unknown_channel_is_a_wrong_command_line_with_a_suggestion() {
    let sandbox = Sandbox::new();
    sandbox.configure("[channels.team]\nkind = \"file\"\npath = \"/nonexistent\"\n");
    let said = refused(&sandbox, 64, &["enqueue", "--channel", "taem", "--to", "a@example.org", "m"], b"");
    assert_eq!(said, "notifyctl: --channel: `taem` is not a configured channel; did you mean `team`?\n");
}

#[test]
fn an_unknown_option_is_64_with_a_suggestion() {
    let said = refused(&Sandbox::new(), 64, &["enqueue", "--subjct", "s", "m"], b"");
    assert!(said.contains("--subject"), "{said}");
}

#[test]
fn whatever_could_start_a_header_of_its_own_is_refused() {
    let sandbox = Sandbox::new();
    for evil in ["a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\u{2028}b"] {
        for option in ["--to", "--subject", "--user", "--key"] {
            // The last --to wins nothing: each is checked.
            let said = refused(&sandbox, 65, &["enqueue", option, evil, "--to", "a@example.org", "m"], b"");
            assert!(said.contains(&format!("{option}: ")) && said.contains("control character"), "{said}");
        }
        let header = format!("X-A: {evil}");
        refused(&sandbox, 65, &["enqueue", "--to", "a@example.org", "--header", &header, "m"], b"");
    }
    for header in ["X-A\r\nBcc: x", "Bcc: x@example.org", "Subject: x", "no colon", ": x", "X A: x"] {
        let said = refused(&sandbox, 65, &["enqueue", "--to", "a@example.org", "--header", header, "m"], b"");
        assert!(said.contains("--header: "), "{said}");
    }
    let said = refused(&sandbox, 65, &["enqueue", "--to", "a@example.org", "-"], b"a\0b");
    assert!(said.contains("MESSAGE: holds a NUL character"), "{said}");
}

#[test]
fn all_problems_are_told_together_and_no_control_character_reaches_the_terminal() {
    let sandbox = Sandbox::new();
    let args = [
        "enqueue",
        "--to",
        "a\x1b[31m",
        "--subject",
        "a\nb",
        "--at",
        "\x1b[2Jnever",
        "--header",
        "Bcc: x",
        "m",
    ];
    let said = refused(&sandbox, 65, &args, b"");
    for field in ["--to: ", "--subject: ", "--at: ", "--header: "] {
        assert!(said.contains(field), "{said}");
    }
    assert!(!said.contains('\x1b'), "{said:?}");
    assert!(said.ends_with("notifyctl: nothing was enqueued: 4 problems\n"), "{said}");
}

#[test]
fn bytes_that_are_not_text_are_refused_with_their_place() {
    let sandbox = Sandbox::new();
    let bad = OsStr::from_bytes(b"caf\xe9");
    for option in ["--subject", "--to", "--key", "--channel", "--header", "--user", "--at"] {
        let args = [
            OsStr::new("enqueue"),
            OsStr::new("--to"),
            OsStr::new("a@example.org"),
            OsStr::new(option),
            bad,
            OsStr::new("m"),
        ];
        let said = refused(&sandbox, 65, &args, b"");
        assert!(said.contains(&format!("{option}: is not UTF-8 from byte 4 on")), "{said}");
    }
    let said = refused(
        &sandbox,
        65,
        &[OsStr::new("enqueue"), OsStr::new("--to"), OsStr::new("a@example.org"), bad],
        b"",
    );
    assert!(said.contains("MESSAGE: is not UTF-8 from byte 4 on"), "{said}");
    let said = refused(&sandbox, 65, &["enqueue", "--to", "a@example.org"], b"caf\xe9");
    assert!(said.contains("MESSAGE: is not UTF-8 from byte 4 on"), "{said}");
}

#[test]
fn what_is_too_large_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.configure("[limits]\nmessage = \"1KiB\"\nattachments = \"2KiB\"\n");
    fs::write(sandbox.path().join("large"), vec![b'x'; 3_000]).unwrap();
    fs::write(sandbox.path().join("half"), vec![b'x'; 1_500]).unwrap();
    fn to<'a>(rest: &[&'a str]) -> Vec<&'a str> {
        [&["enqueue", "--to", "a@example.org"], rest].concat()
    }
    assert!(refused(&sandbox, 65, &to(&[&"x".repeat(1_025)]), b"").contains("MESSAGE: is 1025 bytes long"));
    assert!(
        refused(&sandbox, 65, &to(&["-"]), &[b'x'; 1_025]).contains("MESSAGE: is longer than 1024 bytes")
    );
    assert!(refused(&sandbox, 65, &to(&["--attach", "large", "m"]), b"").contains("is 3000 bytes long"));
    assert!(refused(&sandbox, 65, &to(&["--html", "half", "m"]), b"").contains("is 1500 bytes long"));
    let both = to(&["--attach", "half", "--attach", "half", "m"]);
    assert!(refused(&sandbox, 65, &both, b"").contains("--attach: are 3000 bytes together"));
}

#[test]
fn only_a_regular_file_can_be_attached() {
    let sandbox = Sandbox::new();
    let fifo = sandbox.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for (file, said) in [
        ("missing", "open missing: No such file"),
        (".", "not a regular file"),
        ("fifo", "not a regular file"),
        ("/dev/zero", "not a regular file"),
    ] {
        for option in ["--attach", "--html"] {
            let found = refused(&sandbox, 66, &["enqueue", "--to", "a@example.org", option, file, "m"], b"");
            assert!(found.contains(said) && found.contains(option), "{found}");
        }
    }
}

#[test]
fn a_time_in_the_past_or_no_time_at_all_is_refused() {
    let sandbox = Sandbox::new();
    for (args, said) in [
        (["--at", "2001-01-01T00:00:00Z"], "--at: `2001-01-01T00:00:00Z` is in the past"),
        (["--at", "soonish"], "--at: `soonish` is not a time"),
        (["--in", "5"], "--in: `5` has no unit"),
        (["--ttl", "0s"], "--ttl: is zero"),
        (["--priority", "urgent"], "--priority: is not one of critical, high, normal, low"),
    ] {
        let found = refused(&sandbox, 65, &[&["enqueue"], &TO[..], &args, &["m"]].concat(), b"");
        assert!(found.contains(said), "{found}");
    }
    refused(&sandbox, 64, &["enqueue", "--to", "a@example.org", "--at", "now", "--in", "5s", "m"], b"");
}

#[test]
fn fifty_shells_at_once_all_get_an_id_of_their_own_and_share_one_for_a_key() {
    let sandbox = Sandbox::new();
    let start = |key: Option<&str>| {
        let mut command = sandbox.notifyctl();
        command.args(["enqueue", "--to", "a@example.org", "m"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.args(key.map(|key| ["--key", key]).unwrap_or_default().iter().filter(|arg| !arg.is_empty()));
        command.spawn().expect("run notifyctl")
    };
    // There is no store before the first of them makes it.
    let children: Vec<_> = (0..50).map(|n| start((n % 2 == 0).then_some("same"))).collect();
    let (mut keyed, mut plain) = (Vec::new(), Vec::new());
    for (n, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let id: i64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        if n % 2 == 0 { keyed.push(id) } else { plain.push(id) }
    }
    plain.sort_unstable();
    plain.dedup();
    keyed.dedup();
    assert_eq!((plain.len(), keyed.len(), sandbox.accepted()), (25, 1, 26));
}

#[test]
fn the_log_stays_short_over_hundreds_of_commands_and_after_a_large_batch() {
    let sandbox = Sandbox::new();
    let log = || fs::metadata(sandbox.db().with_extension("db-wal")).map_or(0, |log| log.len());
    // 64 pages, and what one more command adds.
    const SHORT: u64 = 80 * 4_120;
    let rows = "{\"to\":\"a@example.org\",\"message\":\"m\"}\n".repeat(20_000);
    sandbox.run(&["enqueue", "--batch", "-"], rows.as_bytes());
    assert!(log() <= SHORT, "after a batch: {}", log());
    let one = sandbox.store().get(1).unwrap().unwrap();
    let new =
        NewNotification { channel: one.summary.channel, content: one.content, ..NewNotification::default() };
    for n in 0..200 {
        // As each command does: open, accept, close.
        sandbox.store().enqueue(Timestamp(n), Timestamp(n), std::slice::from_ref(&new)).unwrap();
        assert!(log() <= SHORT, "after {n} commands: {}", log());
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let sandbox = Sandbox::new();
    let bin = env!("CARGO_BIN_EXE_notifyctl");
    let recipients: String = (0..900).map(|n| format!(" --to user{n}@example.org")).collect();
    for command in [format!("{bin} enqueue {recipients} m"), format!("{bin} completions bash")] {
        let script = format!("set -o pipefail; {command} | head -1 >/dev/null");
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", &script]).env("NOTIFYCTL_CONFIG", sandbox.path().join("notifyctl.toml"));
        let output = shell.output().expect("run bash");
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{script:.60}");
    }
    assert_eq!(sandbox.accepted(), 900);
}

#[test]
fn help_is_what_an_operator_needs() {
    insta::assert_snapshot!(Sandbox::new().ok(&["enqueue", "--help"]));
    insta::assert_snapshot!(Sandbox::new().ok(&["user", "--help"]));
}

#[test]
fn errors_say_where_what_and_what_to_do() {
    let sandbox = Sandbox::new();
    let cases: &[&[&str]] = &[
        &["enqueue", "--too", "a@example.org", "m"],
        &["enqueue", "--channel", "outbx", "--to", "a@example.org", "m"],
        &["enqueue", "--to", "a@example.org", "--header", "Bcc: x", "--in", "5", "--ttl", "0s", "m"],
        &["enqueue", "--user", "u1", "m"],
        &["enqueue", "--to", "a@example.org", "--attach", "missing.pdf", "m"],
        &["enqueue", "--to", "a@example.org", "--at", "now", "--in", "5m", "m"],
        &["enqueue", "--batch", "missing.csv"],
        &["enqueue", "--skip-invalid", "m"],
        &["user", "show", "u1"],
    ];
    let mut told = String::new();
    for args in cases {
        let output = sandbox.run(args, b"");
        let stderr = String::from_utf8_lossy(&output.stderr);
        told += &format!("$ notifyctl {}\n{stderr}[{}]\n\n", args.join(" "), output.status.code().unwrap());
    }
    insta::assert_snapshot!(told.replace(&sandbox.path().display().to_string(), "[folder]"));
}

#[test]
fn a_completion_script_is_printed_for_every_shell() {
    let sandbox = Sandbox::new();
    for (shell, word) in [
        ("bash", "_notifyctl"),
        ("zsh", "#compdef notifyctl"),
        ("fish", "complete -c notifyctl"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = sandbox.ok(&["completions", shell]);
        assert!(script.contains(word) && script.contains("skip-invalid"), "{shell}");
    }
    sandbox.fails(64, &["completions", "tcsh"]);
}
