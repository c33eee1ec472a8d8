//! A row that somebody else has spoilt does not stop the others.

use notifyctl::model::Status;

use crate::support::Sandbox;

#[test]
fn a_row_that_cannot_be_read_is_set_aside_and_the_rest_is_sent() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[
        "enqueue",
        "--to",
        "a@example.org",
        "--to",
        "b@example.org",
        "--to",
        "c@example.org",
        "hello",
    ]);
    let spoil = rusqlite::Connection::open(sandbox.db()).expect("open");
    spoil.execute("UPDATE notifications SET headers = 'not JSON' WHERE id = 1", []).expect("spoil");
    spoil
        .execute("UPDATE notifications SET recipient = CAST(x'ff' AS TEXT) WHERE id = 3", [])
        .expect("spoil");
    drop(spoil);
    let output = sandbox.run(&["send-pending", "--json"], b"");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "something died: {told}");
    let tally: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&tally["sent"], &tally["dead"]), (&1.into(), &2.into()));
    for id in [1, 3] {
        assert!(told.contains(&format!("cannot be read, and is dead id={id} channel=outbox")), "{told}");
    }
    let counts = sandbox.store().counts().expect("counts");
    assert_eq!((counts.of(Status::Sent), counts.of(Status::Dead)), (1, 2));
    sandbox.ok(&["db", "check"]);
    assert!(sandbox.ok(&["why", "1"]).contains("unsendable"));
}

/// A store with one notification in each of two channels, and a row of `channels` that somebody has changed.
fn spoilt(change: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().display();
    let channel = |name| format!("[channels.{name}]\nkind = \"file\"\npath = \"{folder}/{name}\"\n");
    sandbox.configure(&(channel("one") + &channel("two")));
    for channel in ["one", "two"] {
        sandbox.ok(&["enqueue", "--channel", channel, "--to", "a@example.org", "hello"]);
    }
    let spoil = rusqlite::Connection::open(sandbox.db()).expect("open");
    spoil.execute(&format!("UPDATE channels SET {change} WHERE name = 'one'"), []).expect("spoil");
    sandbox
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn a_pass_goes_on_past_what_cannot_be_in_a_channels_row_and_says_who_finds_it() {
    for change in
        ["pending = -3", "sent = -1", "accepted = -7", "failures = -1", "paused_reason = 'nonsense'"]
    {
        let sandbox = spoilt(change);
        let found = sandbox.run(&["db", "check"], b"");
        assert_eq!(found.status.code(), Some(1), "{change}");
        assert!(text(&found.stdout).contains("channel one: "), "{change}: {}", text(&found.stdout));
        let pass = sandbox.run(&["send-pending"], b"");
        assert_eq!(pass.status.code(), Some(0), "{change}: {}", text(&pass.stderr));
        assert!(text(&pass.stderr).contains("`notifyctl db check`"), "{change}: {}", text(&pass.stderr));
        let list = sandbox.ok(&["list", "--status", "sent"]);
        assert!(list.contains("one") && list.contains("two"), "{change}: {list}");
        sandbox.ok(&["status"]);
    }
}

#[test]
fn counters_that_are_wrong_are_counted_anew_on_request_and_only_then() {
    let sandbox = spoilt("pending = -3, failures = -1, purged = -1");
    let spoil = rusqlite::Connection::open(sandbox.db()).expect("open");
    spoil.execute("DELETE FROM channels WHERE name = 'two'", []).expect("spoil");
    sandbox.run(
        &["enqueue", "--batch", "-"],
        b"{\"to\": \"b@example.org\", \"channel\": \"one\", \"message\": \"x\"}\n",
    );
    spoil.execute("UPDATE batches SET accepted = 9", []).expect("spoil");
    drop(spoil);
    let looked = sandbox.run(&["db", "check"], b"");
    assert!(text(&looked.stderr).contains("db check --repair"), "{}", text(&looked.stderr));
    let said = sandbox.ok(&["db", "check", "--repair"]);
    assert!(said.contains("repaired: counters: channel one: 2 are pending, the counter says -2"), "{said}");
    assert!(said.contains("repaired: counters: channel two: 1 are pending"), "{said}");
    assert!(said.contains("repaired: batches: batch 1: 1 are there, the counter says 9"), "{said}");
    assert!(said.contains("repaired: channels: channel one"), "{said}");
    assert!(said.ends_with("ok: accepted 3 = 3 pending + 0 held + 0 sending + 0 sent + 0 dead + 0 expired + 0 cancelled + 0 purged\n"), "{said}");
    sandbox.ok(&["db", "check"]);
    sandbox.ok(&["send-pending"]);
    assert!(!sandbox.ok(&["db", "check", "--repair", "--json"]).contains("repaired"));
}
