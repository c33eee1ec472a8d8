//! `notifyctl enqueue --batch`: all or nothing, in constant memory, whatever the bytes.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::Sandbox;

fn batch(sandbox: &Sandbox, args: &[&str], input: &[u8]) -> Output {
    sandbox.run(&[&["enqueue", "--batch"], args].concat(), input)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Expects exit `code` and an untouched store; gives standard error.
fn refused(sandbox: &Sandbox, code: i32, args: &[&str], input: &[u8]) -> String {
    let before = sandbox.accepted();
    let output = batch(sandbox, args, input);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    assert_eq!(output.stdout, b"", "nothing is printed for what was not enqueued");
    assert_eq!(sandbox.accepted(), before, "{}", stderr(&output));
    stderr(&output)
}

/// Expects success; gives standard output as JSON.
fn taken(sandbox: &Sandbox, args: &[&str], input: &[u8]) -> Value {
    let output = batch(sandbox, &[args, &["--json"]].concat(), input);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn rows(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        writeln!(text, "{}", json!({"to": format!("user{n}@example.org"), "message": format!("hello {n}")}))
            .unwrap();
    }
    text
}

#[test]
fn json_lines_and_csv_say_the_same_from_a_file_and_from_a_pipe() {
    let sandbox = Sandbox::new();
    let ndjson = concat!(
        "\u{feff}",
        r#"{"to":["a@example.org","b@example.org"],"subject":"ä, \"b\"","message":"one\ntwo","priority":"low","headers":{"X-A":"1"}}"#,
        "\r\n\r\n",
        r#"{"to":"c@example.org","message":"three"}"#,
    );
    let csv = concat!(
        "\u{feff}to,subject,message,priority,header.X-A\r\n",
        "\"[\"\"a@example.org\"\",\"\"b@example.org\"\"]\",\"ä, \"\"b\"\"\",\"one\ntwo\",low,1\r\n",
        "\r\n",
        "c@example.org,,three,,",
    );
    fs::write(sandbox.path().join("rows.NDJSON"), ndjson).unwrap();
    fs::write(sandbox.path().join("rows.csv"), csv).unwrap();
    let receipt = |batch: u64| json!({"batch": batch, "created": 3, "known": 0, "skipped": 0});
    assert_eq!(taken(&sandbox, &["rows.NDJSON"], b""), receipt(1));
    assert_eq!(taken(&sandbox, &["rows.csv"], b""), receipt(2));
    assert_eq!(taken(&sandbox, &["-"], ndjson.as_bytes()), receipt(3));
    assert_eq!(taken(&sandbox, &["-", "--format", "csv"], csv.as_bytes()), receipt(4));
    let store = sandbox.store();
    for n in 1..=3 {
        let first = store.get(n).unwrap().unwrap();
        for batch in 1..4 {
            let same = store.get(n + 3 * batch).unwrap().unwrap();
            assert_eq!(same.content, first.content);
            assert_eq!(
                (same.summary.priority, same.summary.batch_id),
                (first.summary.priority, Some(batch + 1))
            );
        }
    }
    assert_eq!(store.get(2).unwrap().unwrap().content.recipient, "b@example.org");
    assert_eq!(store.batch(2).unwrap().unwrap().source, "rows.csv");
}

#[test]
fn standard_input_that_is_a_file_is_read_from_where_it_stands() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("rows"), format!("a title\n{}", rows(3))).unwrap();
    let script = format!("read title; {} enqueue --batch - --json", env!("CARGO_BIN_EXE_notifyctl"));
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).stdin(fs::File::open(sandbox.path().join("rows")).unwrap());
    let output = shell.env("NOTIFYCTL_CONFIG", sandbox.path().join("notifyctl.toml")).output().unwrap();
    let receipt: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(receipt["created"], 3);
}

#[test]
fn the_options_hold_where_a_row_says_nothing() {
    let sandbox = Sandbox::new();
    sandbox.configure("[channels.team]\nkind = \"file\"\npath = \"/nonexistent\"\n");
    let csv = "to,subject,channel\na@example.org,,\nb@example.org,own,team\n";
    let args =
        ["-", "--format", "csv", "--subject", "shared", "--priority", "high", "--header", "X-A: 1", "hello"];
    taken(&sandbox, &args, csv.as_bytes());
    let store = sandbox.store();
    let (a, b) = (store.get(1).unwrap().unwrap(), store.get(2).unwrap().unwrap());
    assert_eq!((a.content.subject.as_deref(), b.content.subject.as_deref()), (Some("shared"), Some("own")));
    assert_eq!((a.summary.channel.as_str(), b.summary.channel.as_str()), ("outbox", "team"));
    assert_eq!(b.content.message, "hello");
    assert_eq!(b.content.headers, [("X-A".to_owned(), "1".to_owned())]);
    let said = refused(&sandbox, 64, &["-", "-"], b"");
    assert!(said.contains("both the batch and the message"), "{said}");
}

#[test]
fn keys_make_a_batch_repeatable() {
    let sandbox = Sandbox::new();
    let text = rows(5);
    let again = ["-", "--key", "newsletter"];
    assert_eq!(taken(&sandbox, &again, text.as_bytes())["created"], 5);
    let text = rows(6);
    let output = batch(&sandbox, &[&again[..], &["--json"]].concat(), text.as_bytes());
    let receipt: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&receipt["created"], &receipt["known"]), (&json!(1), &json!(5)));
    assert_eq!(stderr(&output), "notifyctl: 5 known by their key, not enqueued again\n");
}

#[test]
fn one_bad_row_at_the_end_and_nothing_is_enqueued() {
    let sandbox = Sandbox::new();
    taken(&sandbox, &["-"], rows(2).as_bytes());
    let text = rows(500) + "{\"to\":\"x\\ny@example.org\",\"message\":\"m\"}\n";
    let said = refused(&sandbox, 65, &["-"], text.as_bytes());
    assert!(said.contains("-:501: to: holds a control character"), "{said}");
    assert!(said.contains("-: 1 of 501 rows are wrong; nothing was enqueued"), "{said}");
    assert!(said.contains("hint: correct them, or enqueue the others with --skip-invalid"), "{said}");
}

#[test]
fn every_wrong_row_is_told_with_its_line_up_to_a_count() {
    let sandbox = Sandbox::new();
    let text = "no json\n".repeat(30);
    let said = refused(&sandbox, 65, &["-"], text.as_bytes());
    assert_eq!(
        said.lines().filter(|line| line.contains("row: is not JSON: expected ident (column 2)")).count(),
        20
    );
    assert!(said.contains("notifyctl: -:20: row: ") && said.contains("notifyctl: … and 10 more"), "{said}");
    let said = refused(&sandbox, 65, &["-", "--max-errors", "2"], text.as_bytes());
    assert!(said.contains("… and 28 more"), "{said}");
}

#[test]
fn good_rows_can_be_taken_though_others_are_wrong() {
    let sandbox = Sandbox::new();
    let text = format!("{}oops\n{}", rows(2), rows(1));
    let output = batch(&sandbox, &["-", "--skip-invalid", "--json"], text.as_bytes());
    assert_eq!(output.status.code(), Some(65));
    let receipt: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(receipt, json!({"batch": 1, "created": 3, "known": 0, "skipped": 1}));
    assert!(stderr(&output).contains("1 of 4 rows are wrong and were left out"), "{}", stderr(&output));
    assert!(refused(&sandbox, 65, &["-", "--skip-invalid"], b"oops\n").contains("no row is right"));
}

#[test]
fn bad_input_is_answered_with_line_and_field() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[limits]\nmessage = \"1KiB\"\nattachments = \"1KiB\"\n[channels.team]\nkind = \"file\"\npath = \"/nonexistent\"\n",
    );
    let long = format!("{{\"to\":\"a@example.org\",\"message\":\"{}\"}}", "x".repeat(1_025));
    let huge = format!("{{\"to\":\"a@example.org\",\"message\":\"{}\"}}", "x".repeat(2_000_000));
    let cases: &[(&str, &str)] = &[
        (
            r#"{"to":"a@example.org","message":"m","subject":"a\r\nBcc: x"}"#,
            "subject: holds a control character",
        ),
        (
            r#"{"to":"a@example.org","message":"m","subject":"a\u0000b"}"#,
            "subject: holds a control character",
        ),
        (r#"{"to":"a@example.org","message":"a\u0000b"}"#, "message: holds a NUL character"),
        (r#"{"to":"a@example.org","message":"m","headers":{"X-A\r\nBcc":"x"}}"#, "headers: a name is not"),
        (
            r#"{"to":"a@example.org","message":"m","headers":{"X-A":"a\nb"}}"#,
            "headers: holds a control character",
        ),
        (
            r#"{"to":"a@example.org","message":"m","headers":{"Bcc":"x"}}"#,
            "headers: `Bcc` is not the caller's",
        ),
        (
            r#"{"to":"a@example.org","message":"m","attachments":[{"name":"a\nb","content":""}]}"#,
            "attachments: holds",
        ),
        (
            r#"{"to":"a@example.org","message":"m","attachments":[{"name":"a/b","content":""}]}"#,
            "attachments: a name",
        ),
        (
            r#"{"to":"a@example.org","message":"m","attachments":[{"path":"/etc/passwd"}]}"#,
            "attachments: a path is",
        ),
        (
            r#"{"to":"a@example.org","message":"m","channel":"taem"}"#,
            "channel: `taem` is not a configured channel; did you mean `team`?",
        ),
        (r#"{"to":"a@example.org","mesage":"m"}"#, "row: has no field `mesage`; did you mean `message`?"),
        (r#"{"to":"a@example.org","message":"m","not_before":"2001-01-01T00:00:00Z"}"#, "is in the past"),
        (
            r#"{"to":"a@example.org","message":"m","not_before":"now","in":"5s"}"#,
            "not_before: and `in` are both given",
        ),
        (r#"{"to":"a@example.org","message":"m","ttl":60}"#, "ttl: is a number; write a text with a unit"),
        (r#"{"to":[],"message":"m"}"#, "to: is an empty list"),
        (r#"{"to":["a@example.org"," "],"message":"m"}"#, "to: number 2: is empty"),
        (r#"{"message":"m"}"#, "to: is missing"),
        (r#"{"to":"a@example.org"}"#, "message: is missing"),
        (r#"{"to":"a@example.org","message":"m""#, "row: is not JSON: EOF while parsing"),
        (r#"{"to":"a@example.org","message":"\ud800"}"#, "row: is not JSON: "),
        (r#"{"user_id":"nobody","message":"m"}"#, "user_id: is not a known user"),
        (&long, "message: is 1025 bytes long; at most 1024 are taken"),
        (&huge, "row: is longer than"),
    ];
    for (row, said) in cases {
        let text = format!("\n{row}\n{}", rows(1));
        let found = refused(&sandbox, 65, &["-"], text.as_bytes());
        assert!(found.contains("-:2: ") && found.contains(said), "{row:.120}: {found}");
        assert!(found.contains("1 of 2 rows"), "{row:.120}: {found}");
    }
    let found = refused(&sandbox, 65, &["-"], b"{\"to\":\"a\xff\"}\n");
    assert!(found.contains("-:1: row: is not UTF-8 from byte 9 on"), "{found}");
}

#[test]
fn a_batch_that_cannot_be_one_is_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("rows.txt"), rows(1)).unwrap();
    fs::write(sandbox.path().join("empty.csv"), "to,message\n").unwrap();
    fs::write(sandbox.path().join("semicolons.csv"), "to;message\na;b\n").unwrap();
    fs::write(sandbox.path().join("open.csv"), "to,message\na@example.org,\"open\nb@example.org,lost\n")
        .unwrap();
    fs::create_dir(sandbox.path().join("folder.csv")).unwrap();
    for (code, file, said) in [
        (64, "rows.txt", "hint: add --format ndjson or --format csv"),
        (66, "missing.csv", "--batch: open missing.csv: No such file or directory"),
        (66, "folder.csv", "is a directory"),
        (65, "empty.csv", "empty.csv: holds no rows"),
        (65, "semicolons.csv", "semicolons.csv:1: row: fields are separated by commas"),
        (65, "open.csv", "open.csv:2: row: opens a quote that is never closed"),
        (65, "-", "-: holds no rows"),
    ] {
        let found = refused(&sandbox, code, &[file], b"");
        assert!(found.contains(said), "{found}");
    }
    assert!(!sandbox.db().exists(), "what is refused makes no store");
}

#[test]
fn a_batch_file_may_name_files_beside_it_and_nothing_else() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("mailing");
    fs::create_dir_all(folder.join("files")).unwrap();
    fs::write(folder.join("files/a.txt"), "hi").unwrap();
    fs::write(sandbox.path().join("secret"), "s").unwrap();
    std::os::unix::fs::symlink("../secret", folder.join("link")).unwrap();
    let write = |path: &str| {
        let row = json!({"to": "a@example.org", "message": "m", "attachments": [{"path": path}]});
        fs::write(folder.join("rows.ndjson"), row.to_string()).unwrap();
    };
    for (path, said) in [
        ("../secret", "lies outside"),
        ("link", "lies outside"),
        ("/etc/passwd", "lies outside"),
        ("missing", "open missing: "),
        ("files", "not a regular file"),
    ] {
        write(path);
        let found = refused(&sandbox, 65, &["mailing/rows.ndjson"], b"");
        assert!(found.contains("mailing/rows.ndjson:1: attachments: ") && found.contains(said), "{found}");
    }
    write("files/a.txt");
    taken(&sandbox, &["mailing/rows.ndjson"], b"");
    let attachment = &sandbox.attachments(1)[0];
    assert_eq!((attachment.name.as_str(), attachment.content.as_slice()), ("a.txt", &b"hi"[..]));
}

#[test]
fn known_users_are_looked_up_while_the_batch_is_written() {
    let sandbox = Sandbox::new();
    for n in 0..3 {
        sandbox.ok(&["user", "set", &format!("u{n}"), "--to", &format!("user{n}@example.org")]);
    }
    let text: String =
        (0..30).map(|n| format!("{{\"user_id\":\"u{}\",\"message\":\"m\"}}\n", n % 3)).collect();
    assert_eq!(taken(&sandbox, &["-"], text.as_bytes())["created"], 30);
    assert_eq!(sandbox.store().get(30).unwrap().unwrap().summary.recipient, "user2@example.org");
}

/// Waits, with a deadline, until `what` is there.
fn until<T>(what: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(Instant::now() < end, "it never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_that_changes_between_the_passes_is_rolled_back() {
    let sandbox = Sandbox::new();
    taken(&sandbox, &["-"], rows(1).as_bytes());
    let file = sandbox.path().join("rows.ndjson");
    let text = rows(50);
    let others = text.lines().take(49).collect::<Vec<_>>().join("\n");
    let first = text.lines().next().unwrap();
    // The last row becomes a wrong one, another right one, or goes away.
    for (then, said) in [
        (format!("{others}\noops"), "line:50: row: is not JSON: expected value (column 1)"),
        (format!("{others}\n{first}"), "it was written to"),
        (others, "it was written to"),
    ] {
        fs::write(&file, &text).unwrap();
        // While another writer has the store, the second pass waits behind the first.
        let lock = rusqlite::Connection::open(sandbox.db()).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut command = sandbox.notifyctl();
        command.args(["enqueue", "--batch", "rows.ndjson"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        // It has the store open: the first pass is over.
        let open = format!("/proc/{}/fd", child.id());
        let db = sandbox.db();
        until(|| {
            fs::read_dir(&open).ok()?.flatten().find(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == db))
        });
        fs::write(&file, then).unwrap();
        lock.execute_batch("COMMIT").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert_eq!((output.stdout.len(), sandbox.accepted()), (0, 1));
    }
}

#[test]
fn no_room_for_the_copy_of_a_pipe_is_no_fault_of_the_rows() {
    let sandbox = Sandbox::new();
    let binary = env!("CARGO_BIN_EXE_notifyctl");
    for (script, said) in [
        // Files may have 64 KiB, and whoever writes more is told so.
        (format!("trap '' XFSZ; ulimit -f 64; {binary} enqueue --batch -"), "File too large"),
        (format!("TMPDIR=/nonexistent {binary} enqueue --batch -"), "No such file or directory"),
    ] {
        let mut shell = Command::new("bash");
        shell.env("NOTIFYCTL_CONFIG", sandbox.path().join("notifyctl.toml"));
        fs::write(sandbox.path().join("rows"), rows(5_000)).unwrap();
        shell.args(["-c", &format!("cat rows | {{ {script}; }}")]).current_dir(sandbox.path());
        let output = shell.output().expect("run bash");
        assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
        assert!(
            stderr(&output).contains(said) && stderr(&output).contains("hint: set TMPDIR"),
            "{}",
            stderr(&output)
        );
        assert!(!sandbox.db().exists());
    }
}

/// A terminal of 80 columns that a test can read, by a socket of its own: one that follows another on the same
/// socket may still meet the server that is ending.
struct Terminal<'a>(&'a Sandbox, &'static str);

impl Terminal<'_> {
    fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.0.path().join(self.1)).args(["-f", "/dev/null"]).args(args);
        String::from_utf8(command.output().expect("run tmux").stdout).expect("UTF-8")
    }

    fn start(&self, command: &str) {
        let config = self.0.path().join("notifyctl.toml");
        let line = format!(
            "cd {}; export NOTIFYCTL_CONFIG={}; {command}; echo \"exit $?\"; read",
            self.0.path().display(),
            config.display()
        );
        self.tmux(&["new-session", "-d", "-x", "80", "-y", "24", &line]);
    }

    fn until_shown(&self, text: &str) -> String {
        until(|| Some(self.tmux(&["capture-pane", "-e", "-p"])).filter(|screen| screen.contains(text)))
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_person_at_a_terminal_sees_a_bar_with_colours_unless_they_want_none() {
    let sandbox = Sandbox::new();
    taken(&sandbox, &["-"], rows(1).as_bytes());
    fs::write(sandbox.path().join("rows.ndjson"), rows(20)).unwrap();
    for (variable, coloured, batch) in [("TERM=screen", true, 2), ("NO_COLOR=1", false, 3)] {
        // While another writer has the store, the bar stands still.
        let lock = rusqlite::Connection::open(sandbox.db()).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        let terminal = Terminal(&sandbox, variable);
        terminal
            .start(&format!("{variable} {} enqueue --batch rows.ndjson", env!("CARGO_BIN_EXE_notifyctl")));
        let screen = terminal.until_shown("enqueueing ");
        assert!(screen.contains("0 %") && screen.contains(" left"), "{screen}");
        assert_eq!(screen.contains("\u{1b}[36m"), coloured, "{screen:?}");
        lock.execute_batch("COMMIT").unwrap();
        let screen = terminal.until_shown("exit 0");
        assert!(!screen.contains("enqueueing"), "the bar is gone: {screen}");
        assert!(screen.contains(&format!("{batch}\nnotifyctl: 20 enqueued; ")), "{screen}");
    }
}

#[test]
fn a_person_is_told_that_the_message_is_read_from_the_keyboard() {
    let sandbox = Sandbox::new();
    let terminal = Terminal(&sandbox, "tmux");
    terminal.start(&format!("{} enqueue --to a@example.org", env!("CARGO_BIN_EXE_notifyctl")));
    terminal.until_shown("reading the message from standard input, end with Ctrl-D");
    terminal.tmux(&["send-keys", "hello", "Enter", "C-d"]);
    terminal.until_shown("exit 0");
    assert_eq!(sandbox.store().get(1).unwrap().unwrap().content.message, "hello\n");
}

#[test]
fn a_batch_larger_than_the_memory_it_may_have_is_enqueued_from_a_pipe() {
    let sandbox = Sandbox::new();
    let row = json!({"to": "a@example.org", "message": "x".repeat(8_000)}).to_string() + "\n";
    // 48 MB of rows through a process whose heap and stacks may take 24 MiB.
    let script =
        format!("ulimit -d 24576; exec {} enqueue --batch - --json", env!("CARGO_BIN_EXE_notifyctl"));
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env("NOTIFYCTL_CONFIG", sandbox.path().join("notifyctl.toml"));
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run bash");
    let mut stdin = child.stdin.take().expect("a pipe");
    for _ in 0..6_000 {
        stdin.write_all(row.as_bytes()).expect("it reads on");
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let receipt: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(receipt["created"], 6_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_end_well_and_are_taken_whole_or_not_at_all(
        lines in prop::collection::vec(prop_oneof![
            4 => "[a-z]{1,8}".prop_map(|name| (true, format!("{{\"to\":\"{name}@example.org\",\"message\":\"m\"}}").into_bytes())),
            1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| (false, bytes)),
            1 => "[{}\\[\\]\":,a-z\\\\]{1,30}".prop_map(|text| (false, text.into_bytes())),
        ], 0..12),
        csv in any::<bool>(),
        skip in any::<bool>(),
    ) {
        let sandbox = Sandbox::new();
        let text = lines.iter().flat_map(|(_, line)| [&line[..], b"\n"].concat()).collect::<Vec<_>>();
        let mut args = vec!["-", "--json", "--format", if csv { "csv" } else { "ndjson" }];
        if skip { args.push("--skip-invalid"); }
        let output = batch(&sandbox, &args, &text);
        let said = stderr(&output);
        prop_assert!(matches!(output.status.code(), Some(0 | 65)), "{}: {}", output.status, said);
        prop_assert!(!said.contains("panicked"), "{}", said);
        let created = match output.stdout.is_empty() {
            true => 0,
            false => serde_json::from_slice::<Value>(&output.stdout).unwrap()["created"].as_u64().unwrap(),
        };
        prop_assert_eq!(sandbox.accepted(), created);
        let good = lines.iter().filter(|(good, _)| *good).count() as u64;
        let bad = lines.len() as u64 - good;
        if !csv && (skip || bad == 0) { prop_assert!(created >= good, "{}", said); }
        if output.status.code() == Some(0) { prop_assert!(created > 0); }
    }
}
