//! What a published WebSocket client, curl and a poller are told of what other processes do.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ground::{Ground, socket};
use crate::support::daemon::until;
use crate::support::ports::free_port;
use crate::support::python;
use crate::support::queue::{Queue, now};

/// Longer than anything takes here, on a machine that has better things to do too.
const PATIENCE: Duration = Duration::from_secs(30);

/// One that watches: a process whose lines are read as they come.
struct Watcher {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Watcher {
    fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start the watcher");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let stdin = child.stdin.take().expect("a pipe");
        let (said, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Self { child, stdin, lines }
    }

    /// By WebSocket; `query` stands behind the path.
    fn websocket(ground: &Ground, query: &str, args: &[&str]) -> Self {
        let mut command = python();
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/watcher.py"));
        command.arg(socket(&ground.sandbox)).arg(format!("/v1/events{query}")).args(args);
        Self::start(command)
    }

    /// By Server-Sent Events.
    fn stream(ground: &Ground, query: &str, args: &[&str]) -> Self {
        let mut command = Command::new("curl");
        command.args(["--silent", "--no-buffer", "--max-time", "60", "--unix-socket"]);
        command.arg(socket(&ground.sandbox)).arg(format!("http://localhost/v1/events{query}")).args(args);
        Self::start(command)
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    fn json(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next `n` messages of a WebSocket.
    fn events(&self, n: usize) -> Vec<Value> {
        (0..n).map(|_| self.json()).collect()
    }

    /// Until it has been told where it begins.
    fn ready(&self) -> String {
        assert!(self.line().starts_with("open"));
        let ready = self.json();
        assert_eq!(ready["type"], "ready");
        ready["cursor"].as_str().expect("a cursor").to_owned()
    }

    /// Tells it what it is to do, a line each, in one write: it is gone as soon as one of them has ended the connection.
    fn tell(&mut self, lines: &str) {
        self.stdin.write_all(format!("{lines}\n").as_bytes()).expect("tell the watcher");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn steps(events: &[Value]) -> Vec<(&str, i64, &str)> {
    events
        .iter()
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or("-");
            (text("type"), event["id"].as_i64().unwrap_or(0), text("status"))
        })
        .collect()
}

fn cursor(event: &Value) -> &str {
    event["cursor"].as_str().expect("a cursor")
}

#[test]
fn what_other_processes_do_comes_in_order_and_is_resumed_without_loss_or_repetition() {
    let ground = Ground::accepting("");
    let sandbox = &ground.sandbox;
    sandbox.ok(&["enqueue", "--to", "before@example.org", "too early"]);
    let watcher = Watcher::websocket(&ground, "", &["--protocol", "notifyctl.v1"]);
    let begun = watcher.ready();
    sandbox.ok(&["hold", "1"]);
    sandbox.ok(&["enqueue", "--channel", "run", "--to", "anna@example.org", "from a shell"]);
    sandbox.ok(&["send-pending"]);
    assert_eq!(ground.post(r#"{"channel": "run", "to": "ops", "message": "by http"}"#).status, 202);
    let seen = watcher.events(5);
    assert_eq!(
        steps(&seen),
        [
            ("held", 1, "held"),
            ("enqueued", 2, "pending"),
            ("attempt", 2, "sending"),
            ("settled", 2, "sent"),
            ("enqueued", 3, "pending"),
        ]
    );
    assert_eq!((&seen[1]["channel"], &seen[3]["outcome"]), (&"run".into(), &"sent".into()));
    assert_eq!(seen[1]["recipient"], "anna@example.org", "the daemon's own user may see everything");
    let token = sandbox.ok(&["token", "create", "--name", "screen", "--scope", "read"]);
    let screen = ["--protocol", "notifyctl.v1", "--protocol", token.trim_end()];
    let screen = Watcher::websocket(&ground, &format!("?after={begun}"), &screen);
    screen.ready();
    let masked = screen.events(5);
    assert_eq!(steps(&masked), steps(&seen));
    assert_eq!(masked[1]["recipient"], "***@example.org");
    assert!(masked.iter().all(|event| !event.to_string().contains("anna")), "who is told is masked");

    // From anywhere: what came since then, then what comes.
    let later = Watcher::websocket(&ground, &format!("?after={begun}"), &[]);
    assert_eq!(later.ready(), begun);
    assert_eq!(later.events(5), seen);
    let last = Watcher::websocket(&ground, &format!("?after={}", cursor(&seen[2])), &[]);
    last.ready();
    let filtered =
        Watcher::websocket(&ground, &format!("?after={begun}&status=cancelled,sent&channel=run"), &[]);
    filtered.ready();
    sandbox.ok(&["cancel", "3"]);
    let rest = last.events(3);
    assert_eq!((&rest[..2], steps(&rest)[2]), (&seen[3..], ("cancelled", 3, "cancelled")));
    assert_eq!(filtered.events(2), [seen[3].clone(), rest[2].clone()]);
    assert_eq!(watcher.json(), rest[2]);

    // The same for a browser that comes back, for curl, and for who asks again and again.
    let stream = Watcher::stream(&ground, "", &["--header", &format!("Last-Event-ID: {}", cursor(&seen[3]))]);
    let mut told = Vec::new();
    while told.len() < 2 {
        let line = stream.line();
        told.extend(
            line.strip_prefix("data: ").map(|json| serde_json::from_str::<Value>(json).expect("JSON")),
        );
    }
    assert_eq!(told, rest[1..]);
    let json = ["--header", "Accept: application/json"];
    let page = ground.ask(&format!("/v1/events?after={}", cursor(&seen[3])), &json).json();
    assert_eq!(page["events"].as_array().expect("a list")[..], rest[1..]);
    assert_eq!((page["next"].as_str(), page["more"].as_bool()), (Some(cursor(&rest[2])), Some(false)));
    // What was told last: of acceptances, and of others.
    let last = ground.ask("/v1/events?last=1", &json).json();
    assert_eq!(
        last["events"].as_array().expect("a list")[..],
        rest[1..],
        "one was enqueued, and one cancelled"
    );
    let settled = ground.ask("/v1/events?last=1000&type=settled,held", &json).json();
    assert_eq!(settled["events"].as_array().expect("a list")[..], [seen[0].clone(), seen[3].clone()]);
    let watcher = Watcher::websocket(&ground, "?last=1", &["--protocol", "notifyctl.v1"]);
    watcher.ready();
    assert_eq!(watcher.events(2), rest[1..]);
    // Whoever comes back goes on where it was.
    let back = ["--header", &format!("Last-Event-ID: {}", cursor(&rest[1])), json[0], json[1]];
    let back = ground.ask("/v1/events?last=1000", &back).json();
    assert_eq!(back["events"].as_array().expect("a list")[..], rest[2..]);
    let now = ground.ask("/v1/events", &json).json();
    assert_eq!(
        (now["next"].as_str(), now["events"].as_array().map(Vec::len)),
        (Some(cursor(&rest[2])), Some(0))
    );
}

#[test]
fn nothing_is_taken_and_nonsense_is_answered() {
    let ground = Ground::accepting("");
    for wrong in [
        "?after=x",
        "?after=1",
        "?status=done",
        "?token=secret",
        "?id=x",
        "?last=0",
        "?last=1001",
        "?type=done",
        "?id=0",
        "?id=-9223372036854775808",
    ] {
        for form in [&[][..], &["--header", "Accept: application/json"]] {
            let refused = ground.ask(&format!("/v1/events{wrong}"), form);
            assert!(refused.status == 400 && !refused.problem().contains("secret"), "{wrong}: {refused:?}");
        }
    }
    let refused = Watcher::websocket(&ground, "", &["--header", "Origin:https://evil.example"]).line();
    assert!(refused.starts_with("refused 40"), "{refused}");

    let mut talker = Watcher::websocket(&ground, "", &[]);
    talker.ready();
    // Whatever comes behind the first: it is read to the end, for what is left unread would take the answer with it.
    talker.tell(&["send {\"cancel\": 1}"; 51].join("\n"));
    let said = talker.line();
    assert!(said.starts_with("closed 1008 "), "it is for watching: {said}");
    // Another protocol that is offered is not a WebSocket.
    let other = [
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: x",
        "Accept: application/json",
    ];
    let other: Vec<_> = other.iter().flat_map(|header| ["--header", header]).collect();
    assert_eq!(ground.ask("/v1/events", &other).status, 200);
    // Nor is one of another version taken: it is told which one is.
    let old =
        ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 8"];
    let old: Vec<_> = old.iter().flat_map(|header| ["--header", header]).collect();
    let refused = ground.ask("/v1/events", &old);
    assert_eq!((refused.status, refused.header("sec-websocket-version")), (426, Some("13")), "{refused:?}");
    // What cannot be read, or is too much, is told apart from a connection that broke.
    for bytes in ["8f8001020304", "81820102030400ff", "82fe138801020304"] {
        let mut garbler = Watcher::websocket(&ground, "", &[]);
        garbler.ready();
        garbler.tell(&format!("raw {bytes}"));
        let said = garbler.line();
        assert!(said.starts_with("closed 1002 "), "{bytes}: {said}");
    }
    // Who says that it goes is answered.
    let mut leaver = Watcher::websocket(&ground, "", &[]);
    leaver.ready();
    leaver.tell("close");
    assert!(leaver.line().starts_with("closed 1000"));
    // Frames that are none: a reserved opcode, a length of 2^63, one without a mask.
    for bytes in ["8f80", "81ffffffffffffffffff", "8105", "00".repeat(100).as_str()] {
        let mut garbler = Watcher::websocket(&ground, "", &[]);
        garbler.ready();
        garbler.tell(&format!("raw {bytes}\nraw ffffffffffffffffffffffff"));
        assert!(garbler.line().starts_with("closed"), "{bytes}");
    }
    assert_eq!(ground.ask("/healthz", &[]).status, 200);

    let gap = Watcher::websocket(&ground, "?after=99-99", &[]);
    gap.ready();
    assert_eq!(gap.json()["type"], "gap");
}

#[test]
fn a_websocket_is_one_of_the_connections_that_there_may_be() {
    let ground = Ground::accepting("max_connections = 1\nloopback_without_token = true");
    let connect = || {
        let stream = TcpStream::connect(ground.daemon.address()).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("set the patience");
        stream
    };
    let mut socket = connect();
    let upgrade = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).expect("ask");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).expect("an answer");
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    // What it is told first: it watches.
    socket.read_exact(&mut byte).expect("a frame");

    let mut next = connect();
    next.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("ask");
    next.set_read_timeout(Some(Duration::from_millis(500))).expect("set the patience");
    let answer = next.read(&mut [0; 16]).map_err(|error| error.kind());
    assert_eq!(answer, Err(ErrorKind::WouldBlock), "there was a place although it was taken");
    next.set_read_timeout(Some(PATIENCE)).expect("set the patience");
    drop(socket);
    let mut answer = [0; 13];
    next.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 ");
}

#[test]
fn at_the_end_watchers_are_told_and_not_waited_for() {
    let ground = Ground::accepting("");
    let (socketed, stream) = (Watcher::websocket(&ground, "", &[]), Watcher::stream(&ground, "", &[]));
    let _mute = Watcher::websocket(&ground, "", &["--mute"]);
    socketed.ready();
    assert!(stream.line().starts_with("retry:"));
    ground.daemon.signal("-TERM");
    assert!(socketed.line().starts_with("closed 1001 "));
    let rest: Vec<String> = std::iter::from_fn(|| stream.lines.recv_timeout(PATIENCE).ok()).collect();
    assert!(rest.iter().all(|line| !line.starts_with("data")), "{rest:?}");
    assert_eq!(ground.daemon.ended(), Some(0));
}

#[test]
fn a_token_that_is_not_good_any_more_ends_what_it_watches() {
    // Two seconds, and one for a machine that has better things to do.
    const BOUND: Duration = Duration::from_secs(3);
    let ground = Ground::accepting("");
    let sandbox = &ground.sandbox;
    let watch = |more: &[&str]| {
        let made = [&["token", "create", "--name", "screen", "--scope", "read"], more].concat();
        let token = sandbox.ok(&made).trim_end().to_owned();
        let socketed = Watcher::websocket(&ground, "", &["--protocol", "notifyctl.v1", "--protocol", &token]);
        let stream = Watcher::stream(&ground, "", &["--header", &format!("Authorization: Bearer {token}")]);
        socketed.ready();
        assert!(stream.line().starts_with("retry:"));
        (socketed, stream)
    };
    let ends = |(socketed, stream): &(Watcher, Watcher), since: Instant| {
        assert!(socketed.line().starts_with("closed 1008 the token is not good any more"));
        // curl ends when the connection does.
        while stream.lines.recv_timeout(PATIENCE).is_ok() {}
        assert!(since.elapsed() < BOUND, "{:?}", since.elapsed());
    };
    let own = Watcher::websocket(&ground, "", &[]);
    own.ready();
    let (revoked, good) = (watch(&[]), watch(&[]));
    sandbox.ok(&["token", "revoke", "1"]);
    ends(&revoked, Instant::now());
    // The others watch on.
    sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "hello"]);
    assert_eq!(own.json()["type"], "enqueued");
    assert_eq!(good.0.json()["type"], "enqueued");
    assert!(good.1.lines.recv_timeout(PATIENCE).is_ok());
    let expiring = watch(&["--ttl", "10s"]);
    let listed = sandbox.ok(&["token", "list", "--json"]);
    let tokens: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut expire = tokens.iter().filter_map(|token| token["expires_at"].as_str());
    let (Some(at), None) = (expire.next(), expire.next()) else { panic!("{listed}") };
    let at = chrono::DateTime::parse_from_rfc3339(at).expect("a moment").timestamp_millis();
    let left = u64::try_from(at - now().0).expect("it is good yet");
    ends(&expiring, Instant::now() + Duration::from_millis(left));
}

#[test]
fn who_comes_while_much_happens_is_told_all_of_it_once() {
    const MANY: usize = 300;
    let ground = Ground::accepting("");
    let mut queue = Queue::new(&ground.sandbox);
    let watchers: Vec<Watcher> = std::thread::scope(|scope| {
        scope.spawn(move || (0..MANY).for_each(|_| _ = queue.pending("run", "ops")));
        (0..6)
            .map(|_| Watcher::websocket(&ground, "?after=0-0", &[]))
            .inspect(|new| drop(new.ready()))
            .collect()
    });
    for watcher in watchers {
        let ids: Vec<_> = watcher.events(MANY).iter().map(|event| event["id"].as_u64()).collect();
        assert_eq!(ids, (1..=MANY as u64).map(Some).collect::<Vec<_>>());
    }
}

#[test]
fn who_watches_one_is_told_of_that_one_alone_before_it_is_there_and_by_whomever_it_is_done() {
    let ground = Ground::accepting("");
    let sandbox = &ground.sandbox;
    let (first, second) =
        (Watcher::websocket(&ground, "?id=1", &[]), Watcher::websocket(&ground, "?id=2", &[]));
    let stream = Watcher::stream(&ground, "?id=2", &[]);
    let cancelled = Watcher::websocket(&ground, "?id=2&type=cancelled", &[]);
    [&first, &second, &cancelled].into_iter().for_each(|watcher| drop(watcher.ready()));
    assert!(stream.line().starts_with("retry:"));
    for _ in 0..3 {
        assert_eq!(ground.post(r#"{"channel": "run", "message": "x"}"#).status, 202);
    }
    sandbox.ok(&["hold", "1", "2", "3"]);
    sandbox.ok(&["release", "3"]);
    sandbox.ok(&["cancel", "2"]);
    sandbox.ok(&["release", "1"]);
    let life = second.events(3);
    assert_eq!(
        steps(&life),
        [("enqueued", 2, "pending"), ("held", 2, "held"), ("cancelled", 2, "cancelled")]
    );
    assert_eq!(
        steps(&first.events(3)),
        [("enqueued", 1, "pending"), ("held", 1, "held"), ("released", 1, "pending")]
    );
    assert_eq!(cancelled.json(), life[2]);
    let told = (0..).map(|_| stream.line()).filter(|line| line.starts_with("data:")).take(life.len());
    assert_eq!(told.count(), life.len());
}

/// Takes as long as a watcher may take for what it is sent: five seconds.
#[test]
fn one_who_does_not_read_is_dropped_and_delays_nobody() {
    const MANY: usize = 6_000;
    let ground = Ground::accepting("");
    let mut mute = Watcher::websocket(&ground, "", &["--mute"]);
    assert!(mute.line().starts_with("open"));
    let (reader, stream) = (Watcher::websocket(&ground, "", &[]), Watcher::stream(&ground, "", &[]));
    reader.ready();
    assert!(stream.line().starts_with("retry:"));
    let mut queue = Queue::new(&ground.sandbox);
    for _ in 0..6 {
        queue.batch("run", MANY / 6);
    }
    let ids = reader.events(MANY).iter().map(|event| event["id"].as_u64()).collect::<Vec<_>>();
    assert_eq!(ids, (1..=MANY as u64).map(Some).collect::<Vec<_>>());
    let told = (0..).map(|_| stream.line()).filter(|line| line.starts_with("data:")).take(MANY);
    assert_eq!(told.count(), MANY);
    // It may take what was under way; then it is over, without all of it.
    let log = ground.sandbox.path().join("log");
    until("dropped", || std::fs::read_to_string(&log).expect("the log").contains("a watcher does not take"));
    mute.tell("read");
    let mut taken = 0;
    let closed = loop {
        let line = mute.line();
        if line.starts_with("closed") {
            break line;
        }
        taken += 1;
    };
    assert!(taken < MANY, "{taken}, {closed}");
}

#[test]
fn a_pass_of_cron_whose_relay_is_down_raises_an_alert_here() {
    let relay = format!(
        "[channels.relay]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"a@example.org\"\n",
        free_port()
    );
    let ground = Ground::accepting_with(&relay);
    let token = ground.sandbox.ok(&["token", "create", "--name", "screen", "--scope", "read"]);
    let screen = ["--protocol", "notifyctl.v1", "--protocol", token.trim_end()];
    let watcher = Watcher::websocket(&ground, "?type=alert", &screen);
    watcher.ready();
    let stream = Watcher::stream(&ground, "?type=alert&last=1", &[]);
    ground.sandbox.ok(&["enqueue", "--channel", "relay", "--to", "anna@example.org", "hello"]);
    ground.sandbox.ok(&["send-pending"]);
    let alert = watcher.json();
    assert_eq!((&alert["type"], &alert["channel"]), (&"alert".into(), &"relay".into()), "{alert}");
    assert!(alert["id"].is_null() && alert["at"].is_string(), "{alert}");
    let told = loop {
        if let Some(json) = stream.line().strip_prefix("data: ") {
            break serde_json::from_str::<Value>(json).expect("JSON");
        }
    };
    assert_eq!((&told["cursor"], &told["type"]), (&alert["cursor"], &alert["type"]), "{told}");
    assert_eq!(told["reason"], "unreachable", "{told}");
}
