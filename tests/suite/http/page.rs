//! The page at `/`, as people meet it: in Debian's Chromium, beside shells that enqueue and deliver.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::ground::{Ground, config};
use crate::support::Sandbox;
use crate::support::browser::Browser;
use crate::support::daemon::{Daemon, until};
use crate::support::queue::{Queue, now};
use notifyctl::model::{Outcome, Reason, Status, Verdict};
use notifyctl::store::Exchange;

/// What a hostile sender writes wherever it may: it would run in a page that takes it for HTML.
const HOSTILE: &str =
    "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>";

/// The longest name that a channel may have, in one piece.
const LONG: &str = "the_relay_of_the_second_data_centre_behind_the_firewall_of_berli";

/// A daemon that accepts and shows, with a channel whose attempts all end well and one on which none does.
fn ground(http: &str) -> Ground {
    let sandbox = Sandbox::new();
    let slow = sandbox.path().join("slow");
    let slow = format!("[channels.slow]\nkind = \"file\"\npath = \"{}\"\nrate = \"1/1h\"\n", slow.display());
    let broken = "[channels.broken]\nkind = \"exec\"\nto = \"ops\"\n\
        command = [\"/bin/sh\", \"-c\", \"echo 'no such room: <b>lobby</b>' >&2; exit 67\"]\n\
        [daemon]\nroles = \"http\"\n";
    assert_eq!(LONG.len(), 64);
    let long = format!("[channels.\"{LONG}\"]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\nto = \"ops\"\n");
    sandbox.configure(&(config(&sandbox, http) + &slow + &long + broken));
    let daemon = Daemon::start(&sandbox);
    Ground { sandbox, daemon }
}

fn url(ground: &Ground) -> String {
    format!("http://{}/", ground.daemon.address())
}

fn host(ground: &Ground) -> String {
    ground.daemon.address().to_string()
}

/// What the tiles show.
fn counts(page: &mut Browser) -> Vec<(String, u64)> {
    let tiles =
        page.run("[...document.querySelectorAll('#tiles a')].map((tile) => tile.innerText.split('\\n'))");
    let tiles = tiles.as_array().expect("tiles").iter();
    let text = |tile: &Value, n: usize| tile[n].as_str().expect("a text").trim().to_owned();
    tiles.map(|tile| (text(tile, 1), text(tile, 0).replace(',', "").parse().expect("a number"))).collect()
}

/// Those of the store.
fn counted(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let told: Value = serde_json::from_str(&sandbox.ok(&["status", "--json"])).expect("JSON");
    let of =
        |status: Status| (status.to_string(), told["counts"][status.as_str()].as_u64().expect("a number"));
    Status::ALL.map(of).to_vec()
}

/// Nothing went wrong in the page, it has asked its own daemon alone, and nothing is wider than the window.
#[track_caller]
fn is_sound(page: &mut Browser, ground: &Ground) {
    let (troubles, hosts) = page.heard();
    assert_eq!(troubles, [] as [&str; 0]);
    assert!(hosts.iter().all(|asked| *asked == host(ground)), "{hosts:?}");
    let wider = page.run(
        "['html', 'header', '#tiles a', '.card', '.notice'].flatMap((all) => [...document.querySelectorAll(all)])
            .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.outerHTML)",
    );
    assert_eq!(wider, serde_json::json!([]), "wider than its place");
    let taken = page.run("[document.title.includes('taken'), document.querySelectorAll('img[src=x], main script, q b').length]");
    assert_eq!(taken, serde_json::json!([false, 0]));
}

#[test]
fn it_shows_what_is_in_the_store_and_what_shells_do_to_it_as_it_happens() {
    let ground = ground("loopback_without_token = true\n");
    let sandbox = &ground.sandbox;
    let mut queue = Queue::new(sandbox);
    for (n, status) in (1..).zip(Status::ALL) {
        for _ in 0..n {
            queue.at(status, "mail");
        }
    }
    // One that is tried again, behind more events than the page looks at.
    let retried = queue.pending("mail", "retried@example.org");
    let later = Verdict::new(Outcome::Deferred, Reason::TemporaryFailure, "451 4.7.1 come back later");
    queue.settle(retried, "mail", Status::Pending, later);
    queue.batch("mail", 10_000);
    let others = queue.hand.claim_from(now(), "mail", 1_000, &[]).claimed;
    let sent = |one| queue.hand.settlement(one, now(), Status::Sent, Verdict::sent("250 2.0.0 Ok"));
    let settle: Vec<_> = others.iter().map(sent).collect();
    queue.hand.store.exchange(&Exchange { settle, ..queue.hand.exchange(now()) }).expect("settle");
    let mut page = Browser::open(&url(&ground), 1280);
    page.shows("#live", "live");
    assert_eq!(counts(&mut page), counted(sandbox));
    page.shows("#failures", "550 5.1.1 no such user");
    page.shows("#failures", "451 4.7.1 come back later");
    page.shows("#channels", "not configured");

    // From shells: nothing is loaded again, for the mark stays.
    page.run("window.mark = 'as it was'");
    let args = ["enqueue", "--channel", "broken", "--to", HOSTILE, "--subject", HOSTILE, HOSTILE];
    let id = sandbox.ok(&args).trim().to_owned();
    page.shows("#happens", &format!("#{id}"));
    page.shows("#happens", HOSTILE);
    // A letter that turns the direction turns the recipient alone, and not what stands behind it.
    let alone = "getComputedStyle(document.querySelector('#happens bdi')).unicodeBidi";
    assert_eq!(page.run(alone), "isolate");
    sandbox.ok(&[
        "enqueue",
        "--channel",
        "run",
        "--to",
        "anna@example.org",
        "--subject",
        "Backup done",
        "All is well.",
    ]);
    // One is dead when it is over.
    sandbox.fails(1, &["send-pending", "--channel", "broken"]);
    page.shows("#failures", "program failed");
    page.shows("#failures", "no such room: <b>lobby</b>");
    sandbox.ok(&["send-pending", "--channel", "run"]);
    page.shows("#channels", "run");
    // Four, a thousand, and this one.
    page.shows("#tiles a[data-status=sent]", "1,005");
    assert_eq!(counts(&mut page), counted(sandbox));
    // One of two, for this hour.
    sandbox.ok(&[
        "enqueue",
        "--channel",
        "slow",
        "--to",
        "anna@example.org",
        "--to",
        "paul@example.org",
        "x",
    ]);
    sandbox.ok(&["send-pending", "--channel", "slow"]);
    page.shows("#channels", "1 of 1/1h, free in");
    sandbox.ok(&["channel", "hold", "run", "--reason", "the <i>cable</i> is cut"]);
    page.shows("#channels", "the <i>cable</i> is cut");
    page.shows("#notices", "held: run");
    is_sound(&mut page, &ground);

    // By id: its whole life.
    page.submit("#sought", &id, "#search button");
    page.shows("#one-title", &format!("Notification {id}"));
    page.shows("#life", "enqueued");
    page.shows("#life", "attempt 1 rejected");
    page.shows("#life", "exit status 67: no such room: <b>lobby</b>");
    page.shows("#one-next", &format!("notifyctl requeue {id} starts it again"));
    page.shows("#one-message", HOSTILE);
    page.shows("#one-subject", HOSTILE);
    // As it goes on.
    sandbox.ok(&["requeue", &id]);
    page.shows("#life", "requeued");
    sandbox.ok(&["hold", &id]);
    page.shows("#one-facts", "held");
    page.shows("#one-next", &format!("notifyctl release {id} lets it go"));
    is_sound(&mut page, &ground);
    page.set_width(360);
    is_sound(&mut page, &ground);

    // What is due and waits is not told as if it were being tried.
    page.submit("#sought", &retried.to_string(), "#search button");
    page.shows("#life", "due to be tried again");
    page.shows("#one-facts", "Due");
    page.shows("#one-next", &format!("notifyctl why {retried} says what it waits for"));

    // By recipient, and where there is none.
    page.submit("#sought", "anna@example.org", "#search button");
    page.shows("#list-title", "To anna@example.org");
    page.shows("#list tbody", "Backup done");
    page.submit("#sought", "nobody@example.org", "#search button");
    page.shows("#list-empty", "exactly this recipient");
    page.submit("#sought", HOSTILE, "#search button");
    page.shows("#list tbody", HOSTILE);
    is_sound(&mut page, &ground);
    page.submit("#sought", "47110815", "#search button");
    page.shows("#list-title", "To 47110815");
    page.shows("#list-empty", "There is no notification 47110815");
    page.shows("#list-empty", "exactly this recipient");
    // Looking for an id that there is not is answered 404, which browsers tell.
    let (troubles, _) = page.heard();
    assert!(troubles.iter().all(|trouble| trouble.contains("404")), "{troubles:?}");

    page.click("header .name");
    sandbox.ok(&["channel", "hold", LONG]);
    page.shows("#happens", LONG);
    page.shows("#notices", LONG);
    for width in [360, 800, 1280] {
        page.set_width(width);
        is_sound(&mut page, &ground);
    }
    page.shows("#chart-words", "1 on run");
    // However short the history is.
    assert_eq!(page.run("document.querySelector('#chart .uplot').dataset.seconds"), "600");
    assert_eq!(page.run("document.querySelectorAll('#chart canvas').length"), 1);
    assert_eq!(page.run("window.mark"), "as it was");
    is_sound(&mut page, &ground);
}

#[test]
fn it_asks_for_a_token_and_shows_what_that_one_may_see() {
    let ground = ground("");
    let sandbox = &ground.sandbox;
    sandbox.ok(&[
        "enqueue",
        "--channel",
        "run",
        "--to",
        "anna@example.org",
        "--subject",
        "Dear Anna",
        "Anna, call me",
    ]);
    let token =
        |scopes: &str| sandbox.ok(&["token", "create", "--name", "me", "--scope", scopes]).trim().to_owned();
    let mut page = Browser::open(&url(&ground), 360);
    page.shows("#token", "Who is looking?");
    page.submit("#token-text", "secret", "#token button");
    page.shows("#token-why", "no token");
    page.submit("#token-text", "nctl_9_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "#token button");
    page.shows("#token-why", "the token is not good");
    page.submit("#token-text", &token("enqueue"), "#token button");
    page.shows("#trouble", "This token lacks the scope `read`. Another one is needed");
    assert_eq!(page.text("#token-why"), "", "what was said of the one before is over");
    page.click("#forget");
    let read = token("read");
    page.submit("#token-text", &read, "#token button");
    page.shows("#live", "live");
    page.shows("#happens", "***@example.org");
    page.shows("#masked", "lacks the scope personal");
    page.shows("#facts", "all that waits is due");
    // Refused ones are told by the browser; what was given is not.
    let (troubles, hosts) = page.heard();
    assert!(troubles.iter().all(|it| it.contains("401") || it.contains("403")), "{troubles:?}");
    assert_eq!(hosts, [host(&ground)]);
    // In this tab alone, and in no address.
    assert_eq!(
        page.run("[localStorage.length, document.cookie, location.href.includes('nctl_')]"),
        serde_json::json!([0, "", false])
    );
    page.reload();
    page.shows("#live", "live");
    page.submit("#sought", "1", "#search button");
    page.shows("#one-message", "***");
    assert!(!page.text("main").to_lowercase().contains("anna"), "personal data is masked");
    // Nor is it found out by guessing.
    page.submit("#sought", "anna@example.org", "#search button");
    page.shows("#list-empty", "This token lacks the scope `personal`");
    assert!(!page.text("#list-empty").contains("There is no notification"), "it was no number");
    page.submit("#sought", "47110815", "#search button");
    page.shows(
        "#list-empty",
        "There is no notification 47110815; a purge may have removed it. This token lacks",
    );
    assert!(!page.text("#list").contains("Subject"), "an empty list says that there is none");
    let (troubles, _) = page.heard();
    assert!(troubles.iter().all(|it| it.contains("403") || it.contains("404")), "{troubles:?}");
    page.submit("#sought", "1", "#search button");
    page.shows("#one-message", "***");
    page.click("#forget");
    page.shows("#token-why", "forgotten");
    assert_eq!(page.run("sessionStorage.length"), 0);
    // Nor is anything else said when the page, as every ten seconds, has asked without it.
    page.run("new Promise((done) => setTimeout(done, 11_000))");
    page.shows("#token-why", "forgotten");
    page.submit("#token-text", &token("read,personal"), "#token button");
    page.shows("#one-message", "Anna, call me");
    assert_eq!(page.run("document.querySelector('#masked').hidden"), true);
    is_sound(&mut page, &ground);
    let log = std::fs::read_to_string(sandbox.path().join("log")).expect("the log");
    assert!(!log.contains(&read[7..]), "no token in the log");
}

#[test]
fn it_says_when_it_is_not_live_and_misses_nothing_when_the_daemon_is_back() {
    let mut ground = ground("loopback_without_token = true\n");
    let address = host(&ground);
    let mut page = Browser::open(&url(&ground), 1280);
    page.shows("#live", "live");
    page.shows("#nothing-happens", "Nothing has happened yet");
    is_sound(&mut page, &ground);
    ground.sandbox.ok(&["enqueue", "--channel", "run", "--to", "before", "x"]);
    page.shows("#happens", "before");
    ground.daemon.signal("-KILL");
    page.shows("#live", "not live since");
    page.shows("#trouble", "does not answer");
    for n in 1..=3 {
        ground.sandbox.ok(&["enqueue", "--channel", "run", "--to", &format!("while-away-{n}"), "x"]);
    }
    ground.sandbox.ok(&["send-pending"]);
    let listen = [("NOTIFYCTL_HTTP__LISTEN", address.as_str())];
    ground.daemon = Daemon::start_with(&ground.sandbox, &listen);
    page.shows("#happens", "while-away-3");
    page.shows("#live", "live");
    assert!(!page.text("#live").contains("not"), "it is live again");
    page.shows("#tiles a[data-status=sent]", "4");
    assert_eq!(page.run("document.querySelector('#trouble').hidden"), true);
    let times = |told: &str| {
        ["before", "while-away-1", "while-away-2", "while-away-3"]
            .map(|recipient| told.matches(&format!("{recipient} on run")).count())
    };
    until("all of them are told of", || times(&page.text("#happens")).iter().all(|times| *times >= 2));
    // Enqueued, and sent; neither is told twice.
    let told = page.text("#happens");
    assert_eq!(times(&told), [2; 4], "{told}");
}

#[test]
fn an_answer_that_cannot_be_shown_is_said_to_be_one_and_the_next_one_is_shown() {
    let ground = ground("loopback_without_token = true\n");
    let mut page = Browser::open(&url(&ground), 1280);
    page.shows("#nothing-happens", "Nothing has happened yet");
    page.run(
        "window.asks = window.fetch, window.fetch = async (url, how) => \
         String(url).endsWith('v1/status') ? new Response('{}') : window.asks(url, how)",
    );
    ground.sandbox.ok(&["enqueue", "--channel", "run", "--to", "somebody", "x"]);
    page.shows("#trouble", "cannot be shown");
    page.run("window.fetch = window.asks");
    ground.sandbox.ok(&["enqueue", "--channel", "run", "--to", "somebody else", "x"]);
    page.shows("#tiles a[data-status=pending]", "2");
    assert_eq!(page.run("document.querySelector('#trouble').hidden"), true);
}

#[test]
fn its_files_are_public_kept_by_browsers_and_hold_them_to_its_policy() {
    let ground = ground("");
    let page = ground.ask_by_tcp("/", &[]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let mut files: Vec<_> = page.body.split('"').filter(|part| part.starts_with("page/")).collect();
    files.extend(["page/api.js", "page/live.js"]);
    assert!(files.len() > 6, "{files:?}");
    for file in files {
        let path = format!("/{file}");
        let first = ground.ask_by_tcp(&path, &[]);
        assert_eq!((first.status, first.header("cache-control")), (200, Some("no-cache")), "{file}");
        let known = format!("If-None-Match: \"x\", W/{}", first.header("etag").expect("a tag"));
        let again = ground.ask_by_tcp(&path, &["--header", &known]);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{file}");
        assert_eq!(ground.ask_by_tcp(&path, &["--header", "If-None-Match: \"x\""]).status, 200);
    }
    assert_eq!(ground.ask_by_tcp("/page/none.js", &[]).status, 404);
    assert_eq!(ground.ask_by_tcp("/", &["--request", "POST"]).status, 405);
    // What they show is not.
    for path in ["/v1/history", "/v1/status", "/v1/events"] {
        assert_eq!(ground.ask_by_tcp(path, &[]).status, 401, "{path}");
    }
}

/// Cross-site WebSocket hijacking, and DNS rebinding: a browser lets any page open a WebSocket to anywhere.
#[test]
fn a_page_of_another_origin_opens_no_websocket_by_way_of_somebodys_browser() {
    let ground = ground("loopback_without_token = true\n");
    let own = format!("Origin: http://{}", host(&ground));
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    // Not by curl, which goes on reading behind a 101.
    let ask = |headers: &[&str]| {
        let mut stream = TcpStream::connect(ground.daemon.address()).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set the patience");
        let host = format!("Host: {}", host(&ground));
        let names_host = headers.iter().any(|header| header.starts_with("Host:"));
        let host = (!names_host).then_some(host.as_str());
        let head: Vec<_> = ["GET /v1/events HTTP/1.1"]
            .into_iter()
            .chain(host)
            .chain(upgrade)
            .chain(headers.iter().copied())
            .collect();
        stream.write_all((head.join("\r\n") + "\r\n\r\n").as_bytes()).expect("write");
        let mut first = String::new();
        BufReader::new(stream).read_line(&mut first).expect("an answer");
        first.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status")
    };
    assert_eq!(ask(&[]), 101, "a program");
    assert_eq!(ask(&[&own]), 101, "its own page");
    let port = ground.daemon.address().port();
    for strangers in [
        vec!["Origin: https://evil.example".to_owned()],
        vec!["Origin: null".to_owned()],
        // Another page on this host.
        vec![format!("Origin: http://127.0.0.1:{}", port ^ 1)],
        vec![format!("Origin: https://127.0.0.1:{port}")],
        // A name of its own that leads here.
        vec![format!("Host: evil.example:{port}"), format!("Origin: http://evil.example:{port}")],
        vec![format!("Host: evil.example:{port}")],
    ] {
        let headers: Vec<_> = strangers.iter().map(String::as_str).collect();
        assert_eq!(ask(&headers), 401, "{headers:?}");
    }
    // With a token, too, another origin is another origin.
    let token = ground.sandbox.ok(&["token", "create", "--name", "me", "--scope", "read"]);
    let protocol = format!("Sec-WebSocket-Protocol: notifyctl.v1, {}", token.trim());
    assert_eq!(ask(&[&protocol, &own]), 101);
    assert_eq!(ask(&[&protocol, "Origin: https://evil.example"]), 403);
}
