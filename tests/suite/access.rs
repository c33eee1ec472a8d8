//! P10: who may speak to the daemon over HTTP, what for and how often: with curl, against the daemon itself.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::Sandbox;
use crate::support::daemon::Daemon;

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A daemon's address, and curl.
struct Site(String);

impl Site {
    fn of(daemon: &Daemon) -> Self {
        Self(format!("http://{}", daemon.address()))
    }

    fn curl(&self, path: &str, args: &[&str]) -> Answer {
        curl(Command::new("curl").args(args).arg(format!("{}{path}", self.0)))
    }

    fn get(&self, token: &str, path: &str) -> Answer {
        self.curl(path, &["-H", &format!("Authorization: Bearer {token}")])
    }

    /// Enqueues one notification.
    fn post(&self, args: &[&str]) -> Answer {
        self.curl("/v1/notifications", &[&["--json", ONE], args].concat())
    }
}

const ONE: &str = r#"{"to":"ann@example.org","subject":"for Ann","message":"hello Ann"}"#;

fn curl(command: &mut Command) -> Answer {
    let output = command.args(["-s", "-i", "--max-time", "30"]).output().expect("run curl");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (head, body) =
        text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {:?} {text}", output.status));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn token(sandbox: &Sandbox, name: &str, scopes: &str) -> String {
    sandbox.ok(&["token", "create", "--name", name, "--scope", scopes]).trim_end().to_owned()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path().join("log")).expect("the log")
}

fn sandbox(http: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("[daemon]\nroles = \"http\"\n[http]\n{http}"));
    sandbox
}

#[test]
fn without_a_good_token_nobody_is_heard_and_each_scope_opens_its_own_routes() {
    let sandbox = sandbox("");
    let enqueue = token(&sandbox, "shop", "enqueue");
    let read = token(&sandbox, "board", "read");
    let all = token(&sandbox, "ops", "enqueue,read,admin,personal");
    let old = sandbox.ok(&["token", "create", "--name", "old", "--scope", "enqueue", "--ttl", "1ms"]);
    let daemon = Daemon::start(&sandbox);
    let site = Site::of(&daemon);

    let nobody = site.post(&[]);
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer realm=\"notifyctl\"")));
    assert!(nobody.json()["detail"].as_str().expect("words").contains("scope `enqueue`"), "{nobody:?}");

    let flipped = match enqueue.strip_suffix('A') {
        Some(rest) => format!("{rest}B"),
        None => format!("{}A", &enqueue[..enqueue.len() - 1]),
    };
    let others = enqueue.replace("nctl_1_", "nctl_2_");
    let unknown = enqueue.replace("nctl_1_", "nctl_999_");
    let mut answers = Vec::new();
    for bad in [&flipped, &others, &unknown, old.trim_end(), "nctl_1_", "x", ""] {
        let answer = site.post(&["-H", &bearer(bad)]);
        assert_eq!(answer.status, 401, "{bad}");
        assert!(
            answer.header("www-authenticate").is_some_and(|it| it.contains("invalid_token")),
            "{answer:?}"
        );
        answers.push(answer.body);
    }
    // Which of these it is, is nobody's business.
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(site.post(&["-u", "shop:secret"]).status, 401);
    assert_eq!(sandbox.accepted(), 0);

    assert_eq!(site.post(&["-H", &bearer(&enqueue)]).status, 202);
    let forbidden = site.get(&enqueue, "/v1/notifications/1");
    assert_eq!(forbidden.status, 403);
    assert!(forbidden.json()["detail"].as_str().expect("words").contains("lacks the scope `read`"));
    assert!(forbidden.header("www-authenticate").is_some_and(|it| it.contains("scope=\"read\"")));
    assert_eq!(site.post(&["-H", &bearer(&read)]).status, 403);
    assert_eq!(site.curl("/v1/notifications/1", &["-X", "DELETE", "-H", &bearer(&read)]).status, 403);

    // Personal data is for those alone who may see it.
    let masked = site.get(&read, "/v1/notifications/1");
    assert_eq!(masked.status, 200);
    assert!(!masked.body.contains("nn@") && !masked.body.contains("Ann"), "{masked:?}");
    assert_eq!(masked.json()["recipient"], "***@example.org");
    let listed = site.get(&read, "/v1/notifications");
    assert_eq!(listed.status, 200);
    assert!(listed.body.contains("***@example.org") && !listed.body.contains("nn@"), "{listed:?}");
    assert!(site.get(&all, "/v1/notifications").body.contains("ann@example.org"));
    // And is not found out by guessing, be the guess right or wrong.
    for guess in
        ["to=ann@example.org", "to=nobody@example.org", "user=ann", "status=pending&to=ann@example.org"]
    {
        let path = format!("/v1/notifications?{guess}");
        let refused = site.get(&read, &path);
        assert_eq!(refused.status, 403, "{guess}: {refused:?}");
        assert!(refused.body.contains("lacks the scope `personal`"), "{refused:?}");
        assert!(refused.header("www-authenticate").is_some_and(|it| it.contains("scope=\"personal\"")));
        assert_eq!(site.get(&all, &path).status, 200, "{guess}");
    }
    let whole = site.get(&all, "/v1/notifications/1").json();
    assert_eq!(
        (whole["recipient"].as_str(), whole["message"].as_str()),
        (Some("ann@example.org"), Some("hello Ann"))
    );

    // What was steered is on record, and neither tokens nor personal data are.
    assert_eq!(site.curl("/v1/notifications/1", &["-X", "DELETE", "-H", &bearer(&all)]).status, 200);
    let log = log(&sandbox);
    let audit: Vec<_> = log.lines().filter(|line| line.contains(" INFO audit ")).collect();
    assert_eq!(audit.len(), 2, "{log}");
    for (line, by, status) in
        [(0, "by=\"token 2 (board)\"", "status=403"), (1, "by=\"token 3 (ops)\"", "status=200")]
    {
        for word in [by, "method=DELETE", "route=/v1/notifications/{id}", "ids=1", status] {
            assert!(audit[line].contains(word), "{word} in {}", audit[line]);
        }
    }
    // Who was refused is said, too, where it is known.
    assert!(
        log.lines().any(|line| line.contains("status=403") && line.contains("by=\"token 1 (shop)\"")),
        "{log}"
    );
    for secret in [&enqueue, &read, &all, &flipped] {
        assert!(!log.contains(&secret[7..15]), "{log}");
    }
    assert!(!log.contains("example.org"), "{log}");
}

#[test]
fn a_revoked_token_is_refused_within_a_second_and_its_last_use_is_known() {
    let sandbox = sandbox("");
    let shop = token(&sandbox, "shop", "enqueue");
    let other = token(&sandbox, "other", "enqueue");
    let daemon = Daemon::start(&sandbox);
    let site = Site::of(&daemon);
    for _ in 0..3 {
        assert_eq!(site.post(&["-H", &bearer(&shop)]).status, 202);
    }
    let used = || {
        let rows = sandbox.ok(&["token", "list", "--json"]);
        rows.lines().map(|row| !row.contains("\"used_at\":null")).collect::<Vec<_>>()
    };
    crate::support::daemon::until("its use is noted", || used() == [true, false]);
    sandbox.ok(&["token", "revoke", "1"]);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(site.post(&["-H", &bearer(&shop)]).status, 401);
    assert_eq!(site.post(&["-H", &bearer(&other)]).status, 202);
    // One that is made while the daemon runs is good at once.
    assert_eq!(site.post(&["-H", &bearer(&token(&sandbox, "new", "enqueue"))]).status, 202);
}

#[test]
fn a_program_on_this_host_needs_no_token_if_it_was_said_so_and_a_page_or_a_proxy_always_does() {
    let sandbox = sandbox("loopback_without_token = true\nproxies = \"127.0.0.1\"\n");
    let daemon = Daemon::start(&sandbox);
    let site = Site::of(&daemon);
    assert_eq!(site.post(&[]).status, 202);
    for header in [
        "Origin: https://evil.example",
        "Host: evil.example",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-For: 127.0.0.1",
        "Via: 1.1 proxy",
        // Whoever shows a token is what the token says.
        "Authorization: Bearer nctl_1_x",
    ] {
        assert_eq!(site.post(&["-H", header]).status, 401, "{header}");
    }
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let limits = "address_limit = \"4/1h\"\ntoken_limit = \"2/1h\"\nproxies = [\"127.0.0.1\"]\n";
    let sandbox = sandbox(limits);
    let (one, two) = (token(&sandbox, "one", "enqueue"), token(&sandbox, "two", "enqueue"));
    let daemon = Daemon::start(&sandbox);
    let site = Site::of(&daemon);
    let from = |address: &str, token: &str| {
        site.post(&["-H", &format!("X-Forwarded-For: {address}"), "-H", &bearer(token)])
    };
    let statuses = |address: &str, token: &str, n: usize| -> Vec<u16> {
        (0..n).map(|_| from(address, token).status).collect()
    };
    // By token, wherever it comes from; by address, whoever it is; what was refused by the one counts for the other.
    assert_eq!(statuses("192.0.2.1", &one, 3), [202, 202, 429]);
    let refused = from("192.0.2.2", &one);
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").expect("when").parse().expect("seconds");
    assert!((1_700..=1_800).contains(&wait), "{wait}");
    assert!(refused.json()["detail"].as_str().expect("words").contains("this token"), "{refused:?}");
    assert_eq!(statuses("192.0.2.1", &two, 2), [202, 429]);
    assert_eq!(statuses("192.0.2.3", "guess", 5), [401, 401, 401, 401, 429]);
    // What a client says of itself stands on the left, and is worth nothing.
    assert_eq!(from("198.51.100.1, 192.0.2.3", &two).status, 429);
    assert_eq!(from("198.51.100.1", &two).status, 202);
    // Whoever only looks whether it is alive is not counted.
    assert!((0..9).all(|_| site.curl("/healthz", &[]).status == 200));
}

#[test]
fn an_address_that_nobody_vouches_for_is_that_of_the_connection() {
    let sandbox = sandbox("address_limit = \"2/1h\"\n");
    let daemon = Daemon::start(&sandbox);
    let site = Site::of(&daemon);
    let from = |address: &str| site.post(&["-H", &format!("X-Forwarded-For: {address}")]).status;
    assert_eq!(["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(from), [401, 401, 429]);
}

#[test]
fn pages_of_other_origins_are_answered_only_if_it_was_said_so() {
    let ask = |site: &Site, origin: &str| {
        site.curl(
            "/v1/notifications",
            &[
                "-X",
                "OPTIONS",
                "-H",
                &format!("Origin: {origin}"),
                "-H",
                "Access-Control-Request-Method: POST",
                "-H",
                "Access-Control-Request-Headers: authorization,content-type",
            ],
        )
    };
    let (app, evil) = ("https://app.example.org", "https://evil.example");
    let closed = sandbox("");
    let daemon = Daemon::start(&closed);
    let answer = ask(&Site::of(&daemon), app);
    assert!(answer.header("access-control-allow-origin").is_none(), "{answer:?}");
    drop(daemon);

    let sandbox = sandbox(&format!("cors_origins = [\"{app}\"]\n"));
    let shop = token(&sandbox, "shop", "enqueue");
    let board = token(&sandbox, "board", "read");
    let daemon = Daemon::start(&sandbox);
    let site = Site::of(&daemon);
    let answer = ask(&site, app);
    assert_eq!(answer.header("access-control-allow-origin"), Some(app), "{answer:?}");
    assert!(answer.header("access-control-allow-headers").is_some_and(|it| it.contains("authorization")));
    assert!(answer.header("access-control-allow-credentials").is_none(), "{answer:?}");
    assert!(ask(&site, evil).header("access-control-allow-origin").is_none());
    let origin = format!("Origin: {app}");
    let answer = site.post(&["-H", &origin, "-H", &bearer(&shop)]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (202, Some(app)));
    // It may watch, too; another one may not.
    let watch = |origin: &str| {
        let origin = format!("Origin: {origin}");
        site.curl("/v1/events", &["-H", "Accept: application/json", "-H", &origin, "-H", &bearer(&board)])
            .status
    };
    assert_eq!((watch(app), watch(evil), watch("null")), (200, 403, 403));
    // Also where it is refused: the page is told why.
    assert_eq!(site.post(&["-H", &origin]).header("access-control-allow-origin"), Some(app));
}

/// curl through the Unix socket, as another user if `ids` says so.
fn through(socket: &Path, ids: Option<(u32, u32)>, args: &[&str]) -> Answer {
    let mut command = match ids {
        None => Command::new("curl"),
        Some((uid, gid)) => {
            let mut command = Command::new("setpriv");
            command.args(["--clear-groups", &format!("--reuid={uid}"), &format!("--regid={gid}"), "curl"]);
            command
        }
    };
    curl(command.arg("--unix-socket").arg(socket).args(args))
}

#[test]
fn through_the_socket_the_kernel_says_who_it_is() {
    let sandbox = Sandbox::new();
    let socket = sandbox.path().join("http.sock");
    let place = format!("[daemon]\nroles = \"http\"\n[http]\nsocket = \"{}\"\n", socket.display());
    let (enqueue, look) = ("http://localhost/v1/notifications", "http://localhost/v1/notifications/1");
    let post = ["--json", ONE, enqueue];
    sandbox.configure(&place);
    let daemon = Daemon::start(&sandbox);
    assert_eq!(through(&socket, None, &post).status, 202);
    assert!(through(&socket, None, &[look]).body.contains("ann@example.org"));
    // A token that is shown counts, also here.
    assert_eq!(through(&socket, None, &["-H", "Authorization: Bearer x", look]).status, 401);
    // What a proxy passed on is not its own word, whoever runs it.
    for hint in
        ["X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1", "Forwarded: for=192.0.2.1", "Via: 1.1 a"]
    {
        assert_eq!(through(&socket, None, &["-H", hint, look]).status, 401, "{hint}");
    }
    drop(daemon);
    if !rustix::process::geteuid().is_root() {
        // Only root can be somebody else.
        return;
    }
    open_to_others(sandbox.path());
    sandbox.configure(&format!("{place}socket_users = [\"4711:enqueue\"]\nsocket_groups = \"4712: read\"\n"));
    let daemon = Daemon::start(&sandbox);
    let as_user = |ids, args: &[&str]| through(&socket, Some(ids), args).status;
    assert_eq!(as_user((4711, 4711), &post), 202);
    assert_eq!(as_user((4711, 4711), &[look]), 403);
    assert_eq!(as_user((4799, 4712), &[look]), 200);
    assert_eq!(as_user((4711, 4712), &[look]), 200);
    assert_eq!(as_user((4799, 4799), &[look]), 401);
    assert!(!through(&socket, Some((4799, 4712)), &[look]).body.contains("ann@"));
    drop(daemon);
}

/// Lets everybody reach what lies in a folder of the test's.
fn open_to_others(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("open the folder");
}

#[test]
fn what_cannot_be_meant_in_the_configuration_of_access_is_named() {
    for (line, what) in [
        ("proxies = [\"nginx\"]", "http.proxies"),
        ("token_limit = \"often\"", "\"off\""),
        ("cors_origins = [\"*\"]", "https://app.example.org"),
        ("cors_origins = [\"https://app.example.org/\"]", "https://app.example.org"),
        ("socket_users = [\"ann:reed\"]", "one of enqueue, read, admin, personal"),
        ("socket_users = [\"ann\"]", "www-data:enqueue"),
    ] {
        let sandbox = sandbox(line);
        let said = sandbox.fails(78, &["config", "check"]);
        assert!(said.contains(what), "{line}: {said}");
    }
    let sandbox = sandbox("socket_users = [\"nobody-of-this-name:read\"]\nlisten = \"127.0.0.1:0\"");
    assert!(sandbox.fails(78, &["daemon"]).contains("nobody-of-this-name"));
}

#[test]
fn listening_where_nobody_may_speak_or_everybody_may_listen_is_warned_of() {
    let sandbox = sandbox("listen = \"0.0.0.0:0\"\n");
    let mut command = Daemon::command(&sandbox);
    command
        .env_remove("NOTIFYCTL_HTTP__LISTEN")
        .stderr(std::fs::File::create(sandbox.path().join("log")).unwrap());
    let mut process = command.spawn().expect("start the daemon");
    let told = || {
        let log = std::fs::read_to_string(sandbox.path().join("log")).unwrap_or_default();
        log.contains("unencrypted") && log.contains("there is no token that is good")
    };
    crate::support::daemon::until("it warns", told);
    process.kill().expect("end it");
    process.wait().expect("wait for it");
}
