//! What a reload takes up of what is configured of HTTP and of the log, and what it leaves to a restart.

use super::ground::{Answer, Ground, config};
use crate::support::Sandbox;
use crate::support::daemon::{Daemon, until};

const ROLES: &str = "[daemon]\nroles = \"http\"\n";

fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path().join("log")).expect("read the log")
}

/// Reloads with this configuration, and gives the last word on it.
fn reload(Ground { sandbox, daemon }: &Ground, text: &str) -> String {
    sandbox.configure(text);
    daemon.signal("-HUP");
    daemon.hears("RELOADING=1");
    daemon.hears("READY=1");
    let log = log(sandbox);
    let word = log.lines().rfind(|line| line.contains(" daemon reload")).expect("a word on it");
    word.to_owned()
}

/// The same with this for `[http]`, which is taken.
fn take(ground: &Ground, http: &str) {
    let word = reload(ground, &(config(&ground.sandbox, http) + ROLES));
    assert!(word.ends_with("reloaded"), "{http}: {word}");
}

/// How many are answered 200 until one is told that this is too often for this rate.
fn taken(rate: &str, ask: impl Fn() -> Answer) -> usize {
    for taken in 0..100 {
        let answer = ask();
        if answer.status == 429 {
            assert!(answer.problem().contains(&format!("more often than {rate}")), "{answer:?}");
            return taken;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    panic!("nobody is told that it is too often for {rate}");
}

#[test]
fn how_often_one_may_ask_changes_at_a_reload_and_who_has_asked_is_not_forgotten() {
    let open = "loopback_without_token = true\n";
    let ground = Ground::accepting(&format!("{open}address_limit = \"3/1h\""));
    let token = ground.sandbox.ok(&["token", "create", "--name", "shop", "--scope", "read"]);
    let token = format!("Authorization: Bearer {}", token.trim());
    let by_address = || ground.ask_by_tcp("/v1/status", &[]);
    let by_token = || ground.ask("/v1/status", &["-H", &token]);
    assert_eq!(taken("3/1h", by_address), 3);
    take(&ground, &format!("{open}address_limit = \"5/1h\"\ntoken_limit = \"2/1h\""));
    assert_eq!(taken("5/1h", by_address), 2);
    assert_eq!(taken("2/1h", by_token), 2);
    take(&ground, &format!("{open}address_limit = \"off\"\ntoken_limit = \"3/1h\""));
    assert!((0..10).all(|_| by_address().status == 200));
    assert_eq!(taken("3/1h", by_token), 1);

    // Whose word is taken on who asks.
    let http = "address_limit = \"2/1h\"\ntoken_limit = \"off\"\nproxies = [\"127.0.0.1\"]";
    take(&ground, &format!("{open}{http}"));
    for client in ["192.0.2.1", "192.0.2.2"] {
        let client = format!("X-Forwarded-For: {client}");
        assert_eq!(taken("2/1h", || ground.ask_by_tcp("/v1/status", &["-H", &token, "-H", &client])), 2);
    }
}

#[test]
fn whose_pages_may_ask_changes_at_a_reload() {
    let ground = Ground::accepting("");
    let [one, other] = ["https://one.example.org", "https://other.example.org"];
    let allowed = |origin: &str| {
        let origin = format!("Origin: {origin}");
        let asks = ["-X", "OPTIONS", "-H", &origin, "-H", "Access-Control-Request-Method: GET"];
        let told = ground.ask("/v1/status", &asks).header("access-control-allow-origin").map(str::to_owned);
        let watch = ["-H", &origin, "-H", "Accept: application/json"];
        let watches = ground.ask("/v1/events", &watch).status == 200;
        assert_eq!(told.is_some(), watches, "{told:?}");
        watches
    };
    assert_eq!([one, other].map(allowed), [false, false]);
    for (origins, who) in [
        (format!("[\"{one}\"]"), [true, false]),
        (format!("[\"{one}\", \"{other}\"]"), [true, true]),
        (format!("[\"{other}\"]"), [false, true]),
        ("[]".to_owned(), [false, false]),
    ] {
        take(&ground, &format!("cors_origins = {origins}"));
        assert_eq!([one, other].map(allowed), who, "{origins}");
    }
}

#[test]
fn how_many_may_be_pending_changes_at_a_reload() {
    let ground = Ground::accepting("");
    let post = || ground.post(r#"{"channel": "run", "message": "hello"}"#);
    assert_eq!(post().status, 202);
    take(&ground, "max_pending = 1");
    until("the queue is full", || {
        let answer = post();
        answer.status == 503 && answer.problem().contains("the queue is full")
    });
    take(&ground, "");
    assert_eq!(post().status, 202);
}

#[test]
fn how_large_a_body_may_be_changes_at_a_reload() {
    let ground = Ground::accepting("max_body = \"1KiB\"");
    let post = |length: usize| {
        let row = r#"{"channel": "run", "message": "hello"}"#;
        let body = ground.sandbox.path().join("body");
        std::fs::write(&body, row.to_owned() + &" ".repeat(length - row.len())).expect("write the body");
        ground.ask("/v1/notifications", &["--json", &format!("@{}", body.display())]).status
    };
    assert_eq!((post(1 << 10), post(2 << 10)), (202, 413));
    // More than all large ones hold together, unless a single one may.
    take(&ground, "max_body = \"40MiB\"");
    assert_eq!(post(40 << 20), 202);
    take(&ground, "max_body = \"1KiB\"");
    assert_eq!((post(1 << 10), post(2 << 10)), (202, 413));
}

#[test]
fn a_reload_with_a_key_that_only_a_restart_takes_up_names_it_and_changes_nothing() {
    let ground = Ground::accepting("loopback_without_token = true");
    let path = |name: &str| ground.sandbox.path().join(name).display().to_string();
    let other = "\n[channels.other]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\nto = \"ops\"\n";
    let changed = "address_limit = \"1/1h\"\nmax_pending = 0\n";
    let before = config(&ground.sandbox, &format!("loopback_without_token = true\n{changed}"));
    for (http, rest, keys) in [
        ("max_connections = 10", "", "http.max_connections has"),
        ("socket_users = [\"0:read\"]", "", "http.socket_users has"),
        ("socket_groups = [\"0:read\"]", "", "http.socket_groups has"),
        ("", "[log]\nformat = \"json\"", "log.format has"),
        ("", &format!("[log]\nlevel = \"error\"\nfile = \"{}\"", path("n.log")), "log.file has"),
        ("", "[cache]\nurl = \"redis://127.0.0.1:1\"", "cache.url, "),
        ("max_connections = 9", "[log]\nformat = \"json\"", "log.format, http.max_connections have"),
    ] {
        let word = reload(&ground, &format!("{before}{http}\n{ROLES}{rest}{other}"));
        let why = format!("reload refused, the old configuration holds: {keys}");
        assert!(word.contains(&why) && word.ends_with(" changed, which only a restart takes up"), "{word}");
    }
    let word = reload(&ground, &format!("{before}{other}"));
    assert!(word.contains("daemon.roles has changed"), "{word}");
    let without_it = before.replace("loopback_without_token = true", "");
    let word = reload(&ground, &format!("{without_it}{ROLES}{other}"));
    assert!(word.contains("http.loopback_without_token has changed"), "{word}");
    let elsewhere = before.replace("http.sock", "other.sock");
    let word = reload(&ground, &format!("{elsewhere}{ROLES}{other}"));
    assert!(word.contains("http.socket has changed"), "{word}");

    assert!((0..3).all(|_| ground.ask_by_tcp("/v1/status", &[]).status == 200));
    assert_eq!(ground.post(r#"{"channel": "other", "message": "hello"}"#).status, 422);
    assert_eq!(ground.post(r#"{"channel": "run", "message": "hello"}"#).status, 202);
    take(&ground, "loopback_without_token = true\naddress_limit = \"1/1h\"");
    assert!(taken("1/1h", || ground.ask_by_tcp("/v1/status", &[])) <= 1);
}

#[test]
fn the_level_of_the_log_changes_at_a_reload_unless_the_command_line_says_it() {
    let sandbox = Sandbox::new();
    let at = |level: &str| format!("{}{ROLES}[log]\nlevel = \"{level}\"\n", config(&sandbox, ""));
    sandbox.configure(&at("warn"));
    let daemon = Daemon::start_by(&sandbox, &mut Daemon::command_at_its_level(&sandbox));
    let texts = ["warn", "info", "error", "debug"].map(|level| (level, at(level)));
    let ground = Ground { daemon, sandbox };
    // Each is logged before it is answered.
    let lines = || {
        assert_eq!(ground.ask("/v1/status", &[]).status, 200);
        assert_eq!(ground.ask("/healthz", &[]).status, 200);
        let log = log(&ground.sandbox);
        ["INFO http answered", "DEBUG http answered"].map(|what| log.matches(what).count())
    };
    assert_eq!(lines(), [0, 0]);
    let mut seen = Vec::new();
    for (_, text) in &texts {
        let word = reload(&ground, text);
        assert!(word.ends_with("reloaded"), "{word}");
        seen.push(lines());
    }
    assert_eq!(seen, [[0, 0], [1, 0], [1, 0], [2, 1]]);

    let Ground { daemon, sandbox } = ground;
    drop(daemon);
    let ground = Ground { daemon: Daemon::start(&sandbox), sandbox };
    reload(&ground, &texts[2].1);
    assert_eq!(ground.ask("/v1/status", &[]).status, 200);
    assert!(log(&ground.sandbox).contains("INFO http answered"));
}

/// As many as have a name in the numbers, and all of them gone.
#[test]
fn a_channel_that_comes_at_a_reload_has_its_name_in_the_numbers_though_many_have_gone() {
    let ground = Ground::accepting("");
    let channels = |names: &[String]| {
        let one = |name: &String| {
            format!("[channels.{name}]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\nto = \"ops\"\n")
        };
        config(&ground.sandbox, "") + ROLES + &names.iter().map(one).collect::<String>()
    };
    let is_named = |name: &str| {
        let numbers = ground.ask("/metrics", &[]).body;
        numbers.contains(&format!("notifyctl_accepted_total{{channel=\"{name}\"}}"))
    };
    assert!(is_named("run"));
    let many: Vec<_> = (0..250).map(|n| format!("c{n:03}")).collect();
    assert!(reload(&ground, &channels(&many)).ends_with("reloaded"));
    assert!(is_named("c000") && is_named("run") && is_named("(others)"));
    for name in ["new", "newer"] {
        assert!(reload(&ground, &channels(&[name.to_owned()])).ends_with("reloaded"));
        assert!(is_named(name) && is_named("run"));
    }
    assert!(!is_named("(others)") && !is_named("c000"));
}
