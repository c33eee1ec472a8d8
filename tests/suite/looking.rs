//! Looking: status, list, show, why and wait, as a person and a program see them.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use notifyctl::model::{Attachment, NewNotification, Outcome, Priority, Reason, Status, Verdict};
use notifyctl::store::PassRecord;
use serde_json::Value;

use crate::support::Sandbox;
use crate::support::queue::{Queue, now, plain};

fn run(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.run(args, b"")
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// Snapshots without what differs from run to run: times, paths, ids of the store.
fn stable(body: impl FnOnce()) {
    insta::with_settings!({filters => vec![
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d", "[date]"),
        (r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d", "[clock]"),
        (r"\b(\d+ m?s ago|now) \(\[clock\]\)", "[just now]"),
        (r"\[clock\] \((\d+ m?s ago|now)\)", "[just now]"),
        (r"in (59 m( \d+ s)?|1 h) \(\[clock\]\)", "[in an hour]"),
        (r"in (9 m 5\d s|10 m) \(\[clock\]\)", "[in ten minutes]"),
        (r"took \d+ ms", "took [n] ms"),
        (r"in \d+ ms$", "in [n] ms"),
        (r"(sqlite://)?/\S*/state/notifyctl.db", "$1[store]"),
        (r"\b(\d+)-[0-9a-f]{16}\b", "$1-[store id]"),
    ]}, { body() });
}

/// Two channels, one notification at every status on the first; a pass; one in trouble.
fn busy(sandbox: &Sandbox) -> Queue {
    sandbox.configure(
        "[channels.relay]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\nrate = [\"50/10s\", \"300/min\"]\n",
    );
    let mut queue = Queue::new(sandbox);
    for status in Status::ALL {
        queue.at(status, "outbox");
    }
    let id = queue.pending("relay", "ops@example.org");
    let trouble =
        Verdict::channel_trouble(Reason::Unreachable, "connect to 192.0.2.7:25: connection refused");
    queue.settle(id, "relay", Status::Pending, trouble.after(Duration::from_secs(3_600)));
    queue.hand.store.hold_channel(now(), "outbox", "the relay moves").expect("hold");
    let ended_at = now();
    let pass = PassRecord {
        worker: "mx.example.org:1:2".into(),
        started_at: ended_at.minus(Duration::from_millis(1_200)),
        ended_at,
        sent: 1,
        deferred: 1,
        dead: 1,
        expired: 1,
        held: 0,
    };
    queue.hand.store.record_pass(&pass).expect("record");
    queue
}

#[test]
fn status_tells_a_person_where_everything_stands() {
    let sandbox = Sandbox::new();
    let _queue = busy(&sandbox);
    stable(|| insta::assert_snapshot!(sandbox.ok(&["status"])));
}

#[test]
fn status_tells_a_program_where_everything_stands() {
    let sandbox = Sandbox::new();
    let _queue = busy(&sandbox);
    let status = sandbox.ok(&["status", "--json"]);
    let value: Value = serde_json::from_str(&status).expect("one object");
    for status in Status::ALL {
        assert!(value["counts"][status.as_str()].is_u64(), "{status}");
    }
    stable(|| insta::assert_snapshot!(serde_json::to_string_pretty(&value).expect("JSON")));
}

#[test]
fn without_a_store_looking_says_how_one_is_made() {
    let sandbox = Sandbox::new();
    for args in [&["status"][..], &["list"], &["show", "1"], &["why", "1"], &["wait", "1"]] {
        let said = sandbox.fails(66, args);
        assert!(said.contains("there is no store yet") && said.contains("notifyctl enqueue"), "{said}");
    }
    assert!(!sandbox.db().exists(), "looking makes no store");
}

#[test]
fn a_queue_that_nobody_serves_is_an_alarm() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let long_ago = now().minus(Duration::from_secs(900));
    let window = Duration::from_secs(60);
    queue.hand.store.enqueue(long_ago, long_ago.plus(window), &[plain("gone", "a")]).expect("enqueue");
    let status = sandbox.ok(&["status"]);
    assert!(status.contains("no pass has run for 15 m"), "{status}");
    assert!(status.contains("gone is not configured, and 1 notification is waiting for it"), "{status}");
}

#[test]
fn each_status_is_told_in_a_line() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let ids = Status::ALL.map(|status| queue.at(status, "outbox").to_string());
    let args: Vec<&str> = std::iter::once("status").chain(ids.iter().map(String::as_str)).collect();
    stable(|| insta::assert_snapshot!(sandbox.ok(&args)));
    let lines = json(&sandbox.ok(&[&args[..], &["--json"]].concat()));
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_str().expect("a word")).collect();
    assert_eq!(statuses, Status::ALL.map(Status::as_str));
}

#[test]
fn what_does_not_exist_is_named_and_the_rest_is_shown() {
    let sandbox = Sandbox::new();
    let id = Queue::new(&sandbox).pending("outbox", "ann@example.org").to_string();
    for verb in ["status", "show", "why"] {
        let (code, stdout, stderr) = said(&run(&sandbox, &[verb, "98", &id, "99"]));
        assert_eq!(code, 66);
        assert!(stdout.contains(&id), "{verb}: {stdout}");
        assert_eq!(
            stderr,
            "notifyctl: notifications 98 and 99 do not exist\n\
             notifyctl: hint: `notifyctl list` shows what there is; a purge may have removed it\n",
        );
    }
    for verb in ["status", "wait", "list"] {
        assert!(sandbox.fails(66, &[verb, "--batch", "9"]).contains("batch 9 does not exist"));
    }
    for args in [&["show"][..], &["show", "0"], &["why", "-1"], &["wait"], &["status", "x"]] {
        sandbox.fails(64, args);
    }
}

#[test]
fn a_batch_shows_how_far_it_is() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let batch = queue.batch("outbox", 8);
    queue.settle(1, "outbox", Status::Sent, Verdict::sent("ok"));
    queue.settle(2, "outbox", Status::Dead, Verdict::new(Outcome::Rejected, Reason::Gone, "410"));
    let batch = batch.to_string();
    stable(|| insta::assert_snapshot!(sandbox.ok(&["status", "--batch", &batch])));
    let shape = &json(&sandbox.ok(&["status", "--batch", &batch, "--json"]))[0];
    assert_eq!((&shape["accepted"], &shape["counts"]["sent"]), (&8.into(), &1.into()));
}

#[test]
fn a_listing_is_a_table_or_json_lines() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    for status in Status::ALL {
        queue.at(status, "outbox");
    }
    let long = format!("{}@example.org", "a".repeat(60));
    queue.enqueue(NewNotification { priority: Priority::Critical, ..plain("relay", &long) });
    stable(|| insta::assert_snapshot!(sandbox.ok(&["list"])));
    let lines = sandbox.ok(&["list", "--json", "--oldest-first"]);
    stable(|| insta::assert_snapshot!(lines));
}

#[test]
fn a_listing_is_narrowed_by_every_filter() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let one = queue.at(Status::Sent, "outbox");
    let two =
        queue.enqueue(NewNotification { user_id: Some("u1".into()), ..plain("relay", "ann@example.org") });
    let batch = queue.batch("outbox", 2).to_string();
    let ids = |args: &[&str]| {
        let lines = json(&sandbox.ok(&[&["list", "--json", "--oldest-first"], args].concat()));
        lines.iter().map(|line| line["id"].as_i64().expect("an id")).collect::<Vec<_>>()
    };
    let (three, four) = (two + 1, two + 2);
    assert_eq!(ids(&[]), [one, two, three, four]);
    assert_eq!(ids(&["--status", "sent", "--status", "dead"]), [one]);
    assert_eq!(ids(&["--channel", "relay"]), [two]);
    assert_eq!(ids(&["--user", "u1"]), [two]);
    assert_eq!(ids(&["--to", "ann@example.org"]), [two]);
    // A channel of mail keeps a domain in ASCII, and people write it as they read it.
    let five: i64 =
        sandbox.ok(&["enqueue", "--to", "Bö <bob@müller.example>", "hi"]).trim().parse().expect("an id");
    let webhook = queue.enqueue(plain("relay", "bob@müller.example"));
    let to = "Bö <bob@xn--mller-kva.example>";
    assert_eq!(ids(&["--to", "Bö <bob@müller.example>"]), [five]);
    assert_eq!(ids(&["--to", to]), [five]);
    assert_eq!(ids(&["--to", "bob@müller.example"]), [webhook]);
    assert_eq!(ids(&["--to", "bob@mueller.example"]), [0; 0]);
    for id in [five, webhook] {
        sandbox.ok(&["cancel", &id.to_string()]);
    }
    sandbox.ok(&["purge", "--older-than", "0s", "--status", "cancelled"]);
    assert_eq!(ids(&["--batch", &batch]), [three, four]);
    assert_eq!(ids(&["--since", "1h"]), [one, two, three, four]);
    assert_eq!(ids(&["--until", "1h"]), [0; 0]);
    assert_eq!(ids(&["--limit", "3"]), [one, two, three]);
    assert_eq!(ids(&["--retrying"]), [0; 0]);
    queue.settle(
        two,
        "relay",
        Status::Pending,
        Verdict::new(Outcome::Deferred, Reason::TemporaryFailure, "451 later"),
    );
    assert_eq!(ids(&["--retrying"]), [two]);
    assert_eq!(ids(&["--retrying", "--channel", "outbox"]), [0; 0]);
    assert_eq!(json(&sandbox.ok(&["list", "--json", "--limit", "1"]))[0]["id"], four);
    let (code, _, stderr) = said(&run(&sandbox, &["list", "--channel", "rely"]));
    assert_eq!((code, stderr), (0, "notifyctl: there is no channel `rely`; did you mean `relay`?\n".into()));
    assert!(sandbox.fails(64, &["list", "--status", "failed"]).contains("cancelled"));
}

#[test]
fn a_long_listing_comes_page_by_page_with_one_row_of_titles() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).batch("outbox", 2_345);
    let table = sandbox.ok(&["list", "--oldest-first"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2_346);
    assert_eq!(lines.iter().filter(|line| line.contains("status")).count(), 1);
    let at = |line: &str| line.find("pending");
    assert!(lines[1..].iter().all(|line| at(line) == at(lines[2_345])), "the columns stay in place");
    let ids: Vec<_> = json(&sandbox.ok(&["list", "--json"])).iter().map(|line| line["id"].clone()).collect();
    let falling: Vec<Value> = (1..=2_345).rev().map(Value::from).collect();
    assert_eq!(ids, falling);
}

#[test]
fn a_reader_that_leaves_ends_a_listing_quietly() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).batch("outbox", 3_000);
    for args in [&["list"][..], &["list", "--json"]] {
        let mut command = sandbox.notifyctl();
        let mut child =
            command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run notifyctl");
        // As `| head -1` does, before the pipe can hold it all.
        let mut line = String::new();
        let mut reader = std::io::BufReader::with_capacity(64, child.stdout.take().expect("piped"));
        std::io::BufRead::read_line(&mut reader, &mut line).expect("a line");
        drop(reader);
        let output = child.wait_with_output().expect("its end");
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    }
}

#[test]
fn everything_about_a_notification_is_shown() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let mut new = plain("relay", "ops@example.org");
    new.content.message = "Grüße\n\u{1b}[31mred\u{1b}[0m\n\n\ttab\n".into();
    new.content.html = Some("<p>Grüße</p>".into());
    new.content.headers = vec![("X-Host".into(), "db1".into())];
    new.content.attachments = vec![Attachment {
        name: "report.pdf".into(),
        media_type: "application/pdf".into(),
        content: vec![0; 2_048],
    }];
    new.user_id = Some("u1".into());
    new.idempotency_key = Some("k1".into());
    new.priority = Priority::High;
    new.expires_at = Some(now().plus(Duration::from_secs(7_200)));
    let id = queue.enqueue(new);
    let later = Verdict::new(Outcome::Deferred, Reason::Greylisted, "451 4.7.1 try again later");
    queue.settle(id, "relay", Status::Pending, later);
    let id = id.to_string();
    let shown = sandbox.ok(&["show", &id]);
    assert!(!shown.contains('\u{1b}'), "what it says cannot steer the terminal");
    stable(|| insta::assert_snapshot!(shown));
    let lines = json(&sandbox.ok(&["show", "--json", &id]));
    assert_eq!(lines[0]["message"], "Grüße\n\u{1b}[31mred\u{1b}[0m\n\n\ttab\n");
    stable(|| insta::assert_snapshot!(serde_json::to_string_pretty(&lines[0]).expect("JSON")));
}

#[test]
fn why_names_each_obstacle_with_its_end_and_its_cure() {
    let sandbox = Sandbox::new();
    let queue = busy(&sandbox);
    let ids = (1..=8).map(|id| id.to_string()).collect::<Vec<_>>();
    let args: Vec<&str> = std::iter::once("why").chain(ids.iter().map(String::as_str)).collect();
    stable(|| insta::assert_snapshot!(sandbox.ok(&args)));
    let lines = json(&sandbox.ok(&["why", "--json", "1", "8"]));
    assert_eq!(lines[0]["obstacles"][0]["code"], "channel_held");
    assert_eq!(lines[0]["obstacles"][0]["hint"], "let it go: notifyctl channel release outbox");
    let codes: Vec<_> =
        lines[1]["obstacles"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["channel_trouble", "retry_wait"]);
    drop(queue);
}

#[test]
fn waiting_ends_as_what_is_waited_for_ends() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let (sent, dead) = (queue.at(Status::Sent, "outbox"), queue.at(Status::Dead, "outbox"));
    let open = queue.pending("outbox", "ann@example.org");
    let [sent, dead, open] = [sent, dead, open].map(|id| id.to_string());
    let wait = |args: &[&str]| said(&run(&sandbox, &[&["wait"], args].concat()));
    let (code, stdout, _) = wait(&[&sent]);
    assert_eq!((code, stdout.starts_with(&format!("{sent}  sent"))), (0, true), "{stdout}");
    assert_eq!(wait(&[&sent, &dead]).0, 1);
    let (code, stdout, stderr) = wait(&[&sent, &open, "--timeout", "50ms", "--json"]);
    assert_eq!(code, 75);
    assert_eq!(json(&stdout)[1]["status"], "pending");
    assert!(stderr.contains("1 of 2 are not settled"), "{stderr}");
    assert_eq!(wait(&[&open, "99"]).0, 66);
}

#[test]
fn waiting_for_a_batch_ends_with_its_last_notification() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let batch = queue.batch("outbox", 3).to_string();
    let mut command = sandbox.notifyctl();
    command.args(["wait", "--json", "--timeout", "60s", "--batch", &batch]).stdout(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().expect("run notifyctl");
    for id in 1..=3 {
        assert_eq!(child.try_wait().expect("ask"), None, "it waits");
        queue.settle(id, "outbox", Status::Sent, Verdict::sent("ok"));
    }
    let (code, stdout, _) = said(&child.wait_with_output().expect("its end"));
    assert_eq!(code, 0);
    assert_eq!(json(&stdout)[0]["counts"]["sent"], 3);
    assert!(begun.elapsed() < Duration::from_secs(30), "it sees the end long before its time is over");
}

/// What `args` print on a terminal of 80 columns.
fn on_a_terminal(sandbox: &Sandbox, args: &str, env: &[(&str, &str)]) -> String {
    on_one_of(80, sandbox, args, env)
}

fn on_one_of(columns: usize, sandbox: &Sandbox, args: &str, env: &[(&str, &str)]) -> String {
    let binary = env!("CARGO_BIN_EXE_notifyctl");
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &format!("stty cols {columns} rows 24; {binary} {args}"), "/dev/null"]);
    script.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
    script.env("NOTIFYCTL_CONFIG", sandbox.path().join("notifyctl.toml")).envs(env.iter().copied());
    let output = script.stdin(Stdio::null()).output().expect("run script, of the package bsdutils");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").replace('\r', "")
}

#[test]
fn a_terminal_has_colours_unless_they_are_unwanted() {
    let sandbox = Sandbox::new();
    let _queue = busy(&sandbox);
    for args in ["status", "status 4", "list", "show 4", "why 4", "channel list"] {
        assert!(on_a_terminal(&sandbox, args, &[]).contains('\u{1b}'), "{args}");
        for unwanted in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let plain = on_a_terminal(&sandbox, args, &[unwanted]);
            assert!(!plain.contains('\u{1b}') && plain.lines().count() > 0, "{args} {unwanted:?}: {plain}");
        }
    }
}

#[test]
fn a_terminal_gets_fifty_rows_cut_to_its_width() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    queue.batch("outbox", 60);
    queue.pending("outbox", &format!("{}@example.org", "ü".repeat(90)));
    let listed = on_a_terminal(&sandbox, "list", &[("NO_COLOR", "1")]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 52, "{listed}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{listed}");
    assert!(lines[1].contains('…'), "{listed}");
    assert_eq!(lines[51], "notifyctl: there are more than these 50; --all lists them all");
    assert_eq!(on_a_terminal(&sandbox, "list --all", &[]).lines().count(), 62);
    assert_eq!(on_a_terminal(&sandbox, "list --limit 3", &[]).lines().count(), 4);
}

#[test]
fn a_narrow_terminal_gets_the_columns_that_fit() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    for status in Status::ALL {
        queue.at(status, "outbox");
    }
    for columns in [40, 69, 70, 99, 100, 200] {
        let listed = on_one_of(columns, &sandbox, "list", &[("NO_COLOR", "1")]);
        assert!(listed.lines().all(|line| line.chars().count() <= columns), "{columns}:\n{listed}");
        let titles: Vec<_> = listed.lines().next().expect("titles").split_whitespace().collect();
        let (why, enqueued) = (titles.contains(&"why"), titles.contains(&"enqueued"));
        assert_eq!((why, enqueued), (columns >= 70, columns >= 100), "{titles:?}");
        assert!(titles.starts_with(&["id", "status"]) && titles.contains(&"to"), "{titles:?}");
    }
}

#[test]
fn no_table_is_wider_than_a_narrow_terminal() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    for status in [Status::Pending, Status::Sent, Status::Dead] {
        queue.at(status, "outbox");
    }
    sandbox.ok(&["token", "create", "--name", "a-shop-with-a-long-name", "--scope", "enqueue,read"]);
    for (args, titles) in [
        ("status", "channel pending sent dead total"),
        ("channel list", "channel kind rate retry now"),
        ("db stats", "table or index size"),
        ("token list", "id name scopes standing"),
    ] {
        let shown = on_one_of(40, &sandbox, args, &[("NO_COLOR", "1")]);
        // What stands below the table of `status` names the store, whose path stays whole.
        let table: Vec<_> = shown.lines().take_while(|line| !line.is_empty()).collect();
        assert!(table.len() > 1 && table.iter().all(|line| line.chars().count() <= 40), "{shown}");
        assert_eq!(table[0].split_whitespace().collect::<Vec<_>>().join(" "), titles, "{shown}");
    }
}
