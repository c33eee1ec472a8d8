//! Connections: slow ones, too many, the ends of the daemon, and who else listens there.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::ground::{Ground, config, socket};
use crate::support::Sandbox;
use crate::support::daemon::{Daemon, until};

/// Longer than any limit of time that is looked at.
const PATIENCE: Duration = Duration::from_secs(20);

fn connect(ground: &Ground) -> TcpStream {
    let stream = TcpStream::connect(ground.daemon.address()).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set the patience");
    stream
}

/// What comes next. A machine that is suspended, or a tracer, ends a wait before its time.
fn next(mut stream: impl Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// What comes until the other side closes.
fn rest(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed: {error}"),
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn who_says_nothing_is_hung_up_on_and_who_waits_gets_the_place() {
    let ground = Ground::accepting("max_connections = 2");
    let began = Instant::now();
    let silent = [connect(&ground), connect(&ground)];
    // Waits for a place, which the silent ones have until their time is over.
    assert_eq!(ground.ask_by_tcp("/healthz", &[]).status, 200);
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(3), "{waited:?}: there was a place although both were taken");
    for stream in &silent {
        assert_eq!(rest(stream), "");
    }
}

/// Takes as long as the head of a request may: thirty seconds.
#[test]
fn who_sends_a_head_byte_by_byte_is_hung_up_on_and_holds_up_nobody_beside_it() {
    const SLOW: usize = 40;
    let ground = Ground::accepting(&format!("max_connections = {}", SLOW + 2));
    // Beside them, one that has asked and will ask again.
    let idle = connect(&ground);
    let ask = |mut idle: &TcpStream| {
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("write");
        let mut answer = [0; 4_096];
        let length = next(idle, &mut answer).expect("an answer");
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "{length}");
    };
    ask(&idle);
    let began = Instant::now();
    let slow: Vec<_> = (0..SLOW).map(|_| connect(&ground)).collect();
    let mut left: Vec<_> = slow.iter().collect();
    for stream in &mut left {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").expect("write");
        stream.set_nonblocking(true).expect("do not wait for it");
    }
    let (mut first_gone, mut answered_first) = (None, None);
    while !left.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(90), "{} are still there", left.len());
        // The place that is left is everybody else's.
        if first_gone.is_none() {
            assert_eq!(ground.ask_by_tcp("/healthz", &[]).status, 200);
            answered_first.get_or_insert(began.elapsed());
        }
        left.retain_mut(|stream| {
            let is_there = stream.write_all(b"x").is_ok()
                && stream.read(&mut [0; 512]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            if !is_there {
                first_gone.get_or_insert(began.elapsed());
            }
            is_there
        });
        std::thread::sleep(Duration::from_millis(500));
    }
    let first_gone = first_gone.expect("all of them went");
    assert!(first_gone > Duration::from_secs(25), "{first_gone:?}: a slow network is no attack");
    ask(&idle);
    // And is not theirs to wait for, also where nobody comes to the socket.
    assert!(answered_first.is_some_and(|took| took < Duration::from_secs(20)), "{answered_first:?}");
    assert_eq!(ground.ask_by_tcp("/healthz", &[]).status, 200);
}

/// Whoever watches keeps a place for as long as it likes.
#[test]
fn when_the_network_has_taken_all_places_the_socket_answers_all_the_same() {
    const PLACES: usize = 5;
    let ground = Ground::accepting(&format!("loopback_without_token = true\nmax_connections = {PLACES}"));
    let mut watch: Vec<_> = (0..PLACES).map(|_| connect(&ground)).collect();
    for mut stream in &watch {
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("write");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    let mut waits = connect(&ground);
    waits.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("write");
    for _ in 0..3 {
        assert_eq!(ground.ask("/healthz", &[]).status, 200);
    }
    assert_eq!(ground.post(r#"{"channel": "run", "message": "x"}"#).status, 202);
    assert!(!is_told(&waits), "there was a place although all were taken");
    let log = std::fs::read_to_string(ground.sandbox.path().join("log")).expect("read the log");
    let words = format!("WARN http all {PLACES} connections of http.max_connections are taken");
    assert!(log.contains(&words), "{log}");
    watch.pop();
    let read = next(&waits, &mut [0; 512]);
    assert!(read.is_ok_and(|length| length > 0), "the place that is free again");
}

/// The kernel tells of it at every try.
#[test]
fn while_it_may_open_no_file_the_log_says_so_once_and_who_came_is_answered_when_it_may() {
    let ground = Ground::accepting("");
    let daemon = Pid::from_raw(i32::try_from(ground.daemon.id()).expect("a number")).expect("a process");
    let maximum = getrlimit(Resource::Nofile).maximum;
    let allow = |files| prlimit(Some(daemon), Resource::Nofile, Rlimit { current: Some(files), maximum });
    let before = allow(0).expect("take the files").current.expect("a limit");
    let mut by_socket = UnixStream::connect(socket(&ground.sandbox)).expect("connect");
    let mut by_tcp = connect(&ground);
    let ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    by_socket.write_all(ask).expect("write");
    by_tcp.write_all(ask).expect("write");
    let log = || std::fs::read_to_string(ground.sandbox.path().join("log")).expect("read the log");
    let told = || log().matches("take a connection: ").count();
    until("it says so", || told() > 0);
    // Twenty tries and more, on any machine that is not fast asleep.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(told(), 1, "{}", log());
    allow(before).expect("give them back");
    let mut answer = String::new();
    by_socket.set_read_timeout(Some(PATIENCE)).expect("set the patience");
    by_socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = rest(&by_tcp);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(told(), 1, "{}", log());
}

/// A head has thirty seconds, but not while others wait for the place that it has.
#[test]
fn heads_that_stop_coming_at_the_socket_keep_a_health_check_waiting_for_seconds_and_not_for_all_their_time() {
    a_health_check_behind("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
}

/// Asks for a sign of life at the socket while all its places are held by who has said so much and says no more.
fn a_health_check_behind(said: &str) {
    const PLACES: usize = 2 + notifyctl::http::SOCKET_PLACES;
    let ground = Ground::accepting("max_connections = 2");
    let began = Instant::now();
    let stalled: Vec<_> = (0..PLACES)
        .map(|_| {
            let mut stream = UnixStream::connect(socket(&ground.sandbox)).expect("connect");
            stream.write_all(said.as_bytes()).expect("write");
            stream
        })
        .collect();
    assert_eq!(ground.ask("/healthz", &["--max-time", "60"]).status, 200);
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    drop(stalled);
}

/// The same of bodies.
#[test]
fn bodies_that_stop_coming_at_the_socket_keep_a_health_check_waiting_for_seconds_and_not_for_all_their_time()
{
    a_health_check_behind(&(head(1_000) + "{"));
}

/// Takes as long as one may take nothing: thirty seconds.
#[test]
fn who_asks_and_does_not_read_is_hung_up_on() {
    let ground = Ground::accepting("max_connections = 1");
    let mut deaf = UnixStream::connect(socket(&ground.sandbox)).expect("connect");
    // Some two megabytes, of which a socket takes a fraction.
    let ask = "GET /page/uPlot.iife.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
    deaf.write_all(ask.repeat(40).as_bytes()).expect("write");
    let mut next = connect(&ground);
    next.set_read_timeout(Some(Duration::from_secs(60))).expect("set the patience");
    next.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("write");
    let mut answer = [0; 12];
    next.read_exact(&mut answer).expect("a place");
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn what_is_no_http_is_answered_or_hung_up_on_and_costs_nothing() {
    let ground = Ground::accepting("loopback_without_token = true");
    for (sent, status) in [
        ("\0\0\0\0\r\n\r\n", "400"),
        ("GET / HTTP/9.9\r\n\r\n", "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        (
            "POST /v1/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\
             Transfer-Encoding: chunked\r\n\r\n{}",
            "400",
        ),
        (
            "POST /v1/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: -1\r\n\r\n{}",
            "400",
        ),
    ] {
        let mut stream = connect(&ground);
        stream.write_all(sent.as_bytes()).expect("write");
        stream.shutdown(std::net::Shutdown::Write).expect("shut down");
        let answer = rest(&stream);
        let got = answer.split(' ').nth(1).unwrap_or_default();
        assert!(
            got == status
                || !got.starts_with('5') && status.is_empty()
                || got.is_empty()
                || got.starts_with('4'),
            "{sent:?}: {answer}"
        );
    }
    assert_eq!(ground.ask_by_tcp("/healthz", &[]).status, 200);
    assert_eq!(ground.sandbox.accepted(), 0);
}

/// The head of a post whose body has so many bytes.
fn head(length: usize) -> String {
    format!(
        "POST /v1/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Whether an answer has come; what comes of it stays.
fn is_told(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("set it");
    let told = stream.peek(&mut [0]).map_err(|error| error.kind());
    stream.set_nonblocking(false).expect("set it");
    assert!(told.is_ok() || told == Err(ErrorKind::WouldBlock), "{told:?}");
    told.is_ok()
}

/// Posts `body`, which is accepted, until one of those that are slow is given up; says what that is told.
fn given_up(ground: &Ground, body: &str, slow: &[TcpStream]) -> String {
    // Before the time of a whole body is over: thirty seconds.
    let end = Instant::now() + Duration::from_secs(25);
    loop {
        assert!(Instant::now() < end, "none is given up");
        assert_eq!(ground.post(body).status, 202);
        if let Some(one) = slow.iter().find(|stream| is_told(stream)) {
            return rest(one);
        }
    }
}

#[test]
fn large_bodies_that_come_slowly_hold_up_no_small_one() {
    let ground = Ground::accepting("loopback_without_token = true\naddress_limit = \"1000/1s\"");
    let small = r#"{"channel": "run", "message": "x"}"#;
    // However many do so: what does not come takes nothing from anybody.
    let many: Vec<_> = (0..300).map(|_| connect(&ground)).collect();
    many.iter().for_each(|mut stream| stream.write_all((head(16 << 20) + "{").as_bytes()).expect("write"));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ground.post(small).status, 202);
    drop(many);
    let large = serde_json::json!({"channel": "run", "message": "x".repeat(100_000)}).to_string();
    // As many as there is memory for.
    let slow = [connect(&ground), connect(&ground)];
    let all_send = |text: &str| {
        slow.iter().for_each(|mut stream| stream.write_all(text.as_bytes()).expect("write"));
    };
    all_send(&(head(16 << 20) + "{"));
    assert_eq!((ground.post(small).status, ground.post(&large).status), (202, 202));
    all_send(&" ".repeat(100_000));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ground.post(small).status, 202);
    // It has waited for none of them.
    assert!(!slow.iter().any(is_told));
    // And whoever waits for room has theirs before being told that there is none.
    let told = given_up(&ground, &large, &slow);
    assert!(told.starts_with("HTTP/1.1 408 ") && told.contains("others waited"), "{told}");
}

#[test]
fn bodies_that_stop_coming_keep_nobody_from_the_memory_that_they_hold() {
    let ground = Ground::accepting("loopback_without_token = true\naddress_limit = \"1000/1s\"");
    // As many as there is memory for small ones, and more, each all but whole.
    let stalled: Vec<_> = (0..300).map(|_| connect(&ground)).collect();
    let most = head(64 << 10) + &" ".repeat((64 << 10) - 1);
    stalled.iter().for_each(|mut stream| stream.write_all(most.as_bytes()).expect("write"));
    // As many of them are given up as are in the way, whichever that are, once they have come.
    let told = given_up(&ground, r#"{"channel": "run", "message": "x"}"#, &stalled);
    assert!(told.starts_with("HTTP/1.1 408 ") && told.contains("others waited"), "{told}");
}

#[test]
fn one_that_says_nothing_is_hung_up_on_also_at_the_socket_and_holds_up_no_end() {
    let sandbox = Sandbox::new();
    sandbox.configure(&(config(&sandbox, "") + "[daemon]\nroles = \"http\"\ndrain = \"2m\"\n"));
    let ground = Ground { daemon: Daemon::start(&sandbox), sandbox };
    let silent = UnixStream::connect(socket(&ground.sandbox)).expect("connect");
    silent.set_read_timeout(Some(PATIENCE)).expect("set the patience");
    assert_eq!(next(&silent, &mut [0]).expect("it is closed"), 0);
    // One that has asked may be silent for longer than is waited for here.
    let mut idle = connect(&ground);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("write");
    assert!(next(&idle, &mut [0; 4_096]).expect("an answer") > 0);
    ground.daemon.signal("-TERM");
    let began = Instant::now();
    let Ground { sandbox: _sandbox, daemon } = ground;
    assert_eq!(daemon.ended(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// The most memory that a process has taken, in MiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of its peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib >> 10
}

#[test]
fn one_text_to_many_takes_no_more_memory_however_many_post_it_and_hang_up() {
    let ground = Ground::accepting("loopback_without_token = true");
    let to: Vec<_> = (0..1_000).map(|n| format!("user {n}")).collect();
    let body = serde_json::json!({"channel": "run", "to": to, "message": "x".repeat(60_000)}).to_string();
    let posts: Vec<_> = (0..6).map(|_| connect(&ground)).collect();
    for mut post in &posts {
        post.write_all((head(body.len()) + &body).as_bytes()).expect("write");
    }
    let mut hung_up = posts;
    let stay = hung_up.split_off(3);
    std::thread::sleep(Duration::from_millis(300));
    drop(hung_up);
    for mut stream in &stay {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer);
        // A slow machine has no room for it in time.
        assert!(["HTTP/1.1 202", "HTTP/1.1 503"].contains(&answer.as_ref()), "{answer}");
    }
    let peak = peak(ground.daemon.id());
    assert!(peak < 250, "{peak} MiB: each of six is 60 MB");
}

/// Posts until it no longer can, and counts what was accepted.
fn post_on(address: std::net::SocketAddr, stop: &AtomicBool, accepted: &AtomicU64) {
    let body = r#"{"channel": "run", "message": "x"}"#;
    let request = format!(
        "POST /v1/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    stream.set_read_timeout(Some(PATIENCE)).expect("set the patience");
    let mut answer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        if stream.write_all(request.as_bytes()).is_err() {
            return;
        }
        match next(&stream, &mut answer) {
            Ok(1..) if answer.starts_with(b"HTTP/1.1 202") => accepted.fetch_add(1, Ordering::Relaxed),
            _ => return,
        };
    }
}

/// Eight who post, while `then` happens to the daemon; says how many were accepted.
fn under_load(ground: &Ground, then: impl FnOnce()) -> u64 {
    let address = ground.daemon.address();
    let (stop, accepted) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| post_on(address, &stop, &accepted));
        }
        until("some are accepted", || accepted.load(Ordering::Relaxed) > 100);
        then();
    });
    accepted.into_inner()
}

#[test]
fn what_was_answered_survives_a_kill_right_behind_it() {
    let ground = Ground::new("loopback_without_token = true");
    let accepted = under_load(&ground, || ground.daemon.signal("-KILL"));
    let there = ground.sandbox.accepted();
    assert!(there >= accepted, "{accepted} were answered, {there} are there");
    ground.sandbox.ok(&["db", "check"]);
}

#[test]
fn a_signal_under_load_loses_nothing_and_answers_what_was_asked() {
    let ground = Ground::new("loopback_without_token = true");
    let accepted = under_load(&ground, || ground.daemon.signal("-TERM"));
    let Ground { sandbox, daemon } = ground;
    assert_eq!(daemon.ended(), Some(0));
    // Every request that was committed was answered too: it ended in order.
    assert_eq!(sandbox.accepted(), accepted);
    assert!(!socket(&sandbox).exists(), "the socket goes with it");
    sandbox.ok(&["db", "check"]);
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let sandbox = Sandbox::new();
    let start = |rest: &str| {
        sandbox.configure(&(config(&sandbox, rest) + "[daemon]\nroles = \"http\"\n"));
        let output = Daemon::command(&sandbox).output().expect("run it");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    drop(std::os::unix::net::UnixListener::bind(socket(&sandbox)).expect("bind"));
    sandbox.configure(&(config(&sandbox, "") + "[daemon]\nroles = \"http\"\n"));
    let daemon = Daemon::start(&sandbox);
    let mode = std::fs::metadata(socket(&sandbox)).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let (code, said) = start("");
    assert!(code == Some(75) && said.contains("somebody else listens there already"), "{code:?} {said}");
    // The one that runs keeps its socket.
    assert!(socket(&sandbox).exists());
    drop(daemon);
    std::fs::remove_file(socket(&sandbox)).expect("a kill leaves it behind");
    std::fs::write(socket(&sandbox), "precious").expect("write");
    let (code, said) = start("");
    assert!(code == Some(78) && said.contains("something else than a socket"), "{code:?} {said}");
    assert_eq!(std::fs::read(socket(&sandbox)).expect("read"), b"precious");
}

#[test]
fn where_it_cannot_listen_it_says_so_at_once() {
    let sandbox = Sandbox::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let nowhere = sandbox.path().join("none/http.sock").display().to_string();
    let start = |http: &str| {
        sandbox.configure(&format!("[daemon]\nroles = \"http\"\n[http]\n{http}\n"));
        let stderr = sandbox.notifyctl().arg("daemon").output().expect("run it");
        (stderr.status.code().expect("a code"), String::from_utf8_lossy(&stderr.stderr).into_owned())
    };
    for (code, http, says) in [
        (75, format!("listen = \"{address}\""), "somebody else listens there already"),
        // It may come later: whoever starts daemons tries it again.
        (75, "listen = \"192.0.2.1:80\"".into(), "this host has no such address"),
        (78, "listen = \"localhost\"".into(), "no IP address with a port"),
        (78, "listen = \"off\"".into(), "no socket is named"),
        (78, format!("socket = \"/tmp/{}\"", "x".repeat(120)), "at most 107"),
        (78, format!("socket = \"{nowhere}\""), "its folder does not exist"),
        (78, format!("socket = \"{nowhere}\""), "RuntimeDirectory="),
        (78, "lisen = \"off\"".into(), "did you mean `listen`?"),
        (78, "loopback_without_token = \"perhaps\"".into(), "neither true nor false"),
    ] {
        let (got, said) = start(&http);
        assert!(got == code && said.contains(says), "{http}: {got} {said}");
    }
}
