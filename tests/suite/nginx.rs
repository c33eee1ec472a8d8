//! nginx before three daemons on one store, as `etc/nginx/notifyctl.conf` has it.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notifyctl::model::{Id, Status};
use reqwest::{Client, StatusCode};

use crate::daemon::Killed;
use crate::support::Sandbox;
use crate::support::daemon::{Daemon, until};
use crate::support::ports::free_port;

/// Our part of nginx's configuration.
fn recipe() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/nginx/notifyctl.conf");
    fs::read_to_string(path).expect("read our part")
}

/// The roles of each daemon, as the head of our part starts it; `None` for all of them.
fn roles() -> Vec<Option<String>> {
    let recipe = recipe();
    let commands =
        recipe.lines().filter(|line| line.starts_with("#   ") && line.ends_with(" notifyctl daemon"));
    let roles = |command: &str| {
        let mut words = command.split_whitespace();
        words.find_map(|word| word.strip_prefix("NOTIFYCTL_DAEMON__ROLES=").map(str::to_owned))
    };
    commands.map(roles).collect()
}

/// nginx with our part alone; ended when dropped.
struct Nginx {
    process: Child,
    port: u16,
}

impl Nginx {
    /// Starts it on `etc/nginx/notifyctl.conf`, with these daemons and this folder in place of the system's.
    fn start(folder: &Path, ports: &[u16]) -> Self {
        let path = folder.display().to_string();
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=notify.example.org", "-keyout"])
            .arg(folder.join("privkey.pem"))
            .arg("-out")
            .arg(folder.join("fullchain.pem"))
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("run openssl").success());
        let port = free_port();
        let mut ours = recipe();
        for (place, port) in [8025, 8026, 8027].iter().zip(ports) {
            ours = ours.replace(&format!("server 127.0.0.1:{place} "), &format!("server 127.0.0.1:{port} "));
        }
        let ours = ours
            .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{port} ssl;"))
            .replace("/etc/ssl/notifyctl", &path);
        assert!(!ours.contains(" 443 ") && !ours.contains("server 127.0.0.1:802"), "{ours}");
        fs::write(folder.join("notifyctl.conf"), ours).expect("write our part");
        // Its workers are to reach this folder, whoever runs the tests.
        let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {path}/{name};\n"))
            .concat();
        let head = format!(
            "{user}daemon off;\npid {path}/nginx.pid;\nerror_log {path}/error.log;\nworker_processes 2;\n\
             events {{}}\nhttp {{\naccess_log {path}/access.log;\n{temporary}include {path}/notifyctl.conf;\n}}\n"
        );
        fs::write(folder.join("nginx.conf"), head).expect("write its configuration");
        let process = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join("nginx.stderr")).expect("make a file"))
            .spawn()
            .expect("start nginx");
        let nginx = Self { process, port };
        until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        nginx
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // TERM, so that its workers end with it.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// How many clients ask side by side, and how much each.
const CLIENTS: usize = 8;
const EACH: usize = 30;

/// Enqueues `EACH` notifications, each with a key of its own; gives the ids that were promised.
async fn client(client: Client, url: String, token: String, n: usize, answered: Arc<AtomicUsize>) -> Vec<Id> {
    let mut ids = Vec::new();
    for k in 0..EACH {
        let (status, body) = loop {
            let request = client.post(&url).bearer_auth(&token).header("Idempotency-Key", format!("{n}-{k}"));
            let request = request.header("content-type", "application/json");
            let answer = request
                .body(r#"{"to":"ann@example.org","message":"hello"}"#)
                .send()
                .await
                .expect("an answer");
            if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                break (answer.status(), answer.text().await.expect("a body"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        // What falls is not seen from outside.
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        ids.push(body["id"].as_i64().expect("an id"));
        answered.fetch_add(1, Ordering::Relaxed);
    }
    ids
}

/// A curl that asks nginx, and prints what it is answered as it comes, head and all; for half a minute at most.
fn asking(nginx: &Nginx, path: &str, args: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--insecure", "--include", "--no-buffer", "--http1.1", "--max-time", "30"])
        .args(args)
        .arg(nginx.url(path));
    curl
}

/// What curl is answered through nginx, head and all.
fn curl(nginx: &Nginx, path: &str, args: &[&str]) -> String {
    let output = asking(nginx, path, args).output().expect("run curl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Somebody who is told what happens, through nginx; gone when dropped.
struct Watcher {
    _curl: Killed,
    output: ChildStdout,
    told: Vec<u8>,
}

impl Watcher {
    fn start(nginx: &Nginx, args: &[&str]) -> Self {
        let mut curl = asking(nginx, "/v1/events", args);
        let mut curl = curl.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("run curl");
        let output = curl.stdout.take().expect("a pipe");
        Self { _curl: Killed(curl), output, told: Vec::new() }
    }

    /// All that it was told until now.
    fn told(&self) -> String {
        String::from_utf8_lossy(&self.told).into_owned()
    }

    /// Waits until it was told this, while the answer goes on.
    fn hears(&mut self, what: &str) {
        let mut piece = [0; 4096];
        while !self.told().contains(what) {
            let length = self.output.read(&mut piece).expect("read what curl prints");
            assert!(length > 0, "it was not told {what}: {}", self.told());
            self.told.extend_from_slice(&piece[..length]);
        }
    }
}

#[test]
fn events_come_through_nginx_as_they_happen_and_the_numbers_stay_on_this_host() {
    let sandbox = Sandbox::new();
    sandbox.configure("[daemon]\nroles = \"http\"\n[http]\nproxies = [\"127.0.0.1\"]\n");
    let token = sandbox.ok(&["token", "create", "--name", "board", "--scope", "read"]);
    let bearer = format!("Authorization: Bearer {}", token.trim_end());
    let daemon = Daemon::start(&sandbox);
    let port = daemon.address().port();
    let nginx = Nginx::start(sandbox.path(), &[port; 3]);
    let origin = format!("Origin: {}", nginx.url(""));
    let upgrade = [
        "-H",
        &bearer,
        "-H",
        "Connection: Upgrade",
        "-H",
        "Upgrade: websocket",
        "-H",
        "Sec-WebSocket-Version: 13",
        "-H",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        // As the page's own.
        "-H",
        &origin,
    ];
    let stream = ["-H", &*bearer, "-H", &origin, "-H", "Accept: text/event-stream"];
    // Each is told while its answer goes on, so nothing on the way keeps it back.
    let mut watchers = [&upgrade[..], &stream].map(|args| Watcher::start(&nginx, args));
    for (watcher, begins) in watchers.iter_mut().zip(["\r\n\r\n", "retry:"]) {
        watcher.hears(begins);
    }
    sandbox.ok(&["enqueue", "--to", "ann@example.org", "hello"]);
    let told = watchers.map(|mut watcher| {
        watcher.hears("\"type\":\"enqueued\",\"id\":1,");
        watcher.told()
    });
    for (told, status) in told.iter().zip(["101 Switching Protocols", "200 OK"]) {
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
    }
    assert!(
        told[0].contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            || told[0].contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{}",
        told[0]
    );
    // The numbers are for this host, whatever token is shown. Another address of its own stands for the world.
    let own = curl(&nginx, "/metrics", &["-H", &bearer]);
    assert!(own.starts_with("HTTP/1.1 200 ") && own.contains("notifyctl_accepted_total"), "{own}");
    let world = curl(&nginx, "/metrics", &["-H", &bearer, "--interface", "127.0.0.2"]);
    assert!(world.starts_with("HTTP/1.1 403 ") && !world.contains("notifyctl_"), "{world}");
    let other = curl(&nginx, "/healthz", &["--interface", "127.0.0.2"]);
    assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
    // A token is asked for as everywhere: what nginx passes on is no local program.
    assert!(curl(&nginx, "/v1/status", &[]).starts_with("HTTP/1.1 401 "));
    drop(daemon);
}

#[test]
fn killing_one_of_three_daemons_behind_nginx_loses_nothing_and_nobody_sees_it() {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!(
        "[http]\nproxies = [\"127.0.0.1\"]\ntoken_limit = \"off\"\naddress_limit = \"off\"\n\
         [channels.out]\nkind = \"file\"\nformat = \"jsonl\"\npath = \"{}\"\n",
        sandbox.path().join("out.jsonl").display()
    ));
    let token = sandbox.ok(&["token", "create", "--name", "shop", "--scope", "enqueue,read"]);
    let token = token.trim_end();
    let mut daemons = Vec::new();
    let mut ports = Vec::new();
    for roles in roles() {
        let roles = roles.as_deref().map(|roles| ("NOTIFYCTL_DAEMON__ROLES", roles));
        let daemon = Daemon::start_with(&sandbox, roles.as_slice());
        ports.push(daemon.address().port());
        daemons.push(daemon);
    }
    let nginx = Nginx::start(sandbox.path(), &ports);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ids = runtime.block_on(async {
        let web = Client::builder().danger_accept_invalid_certs(true).build().expect("a client");
        let url = nginx.url("/v1/notifications");
        // Without a key, and without a token.
        let plain = || {
            web.post(&url)
                .header("content-type", "application/json")
                .body(r#"{"to":"bob@example.org","message":"x"}"#)
        };
        assert_eq!(
            plain().bearer_auth(token).send().await.expect("an answer").status(),
            StatusCode::ACCEPTED
        );
        assert_eq!(plain().send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);

        let answered = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                tokio::spawn(client(web.clone(), url.clone(), token.to_owned(), n, Arc::clone(&answered)))
            })
            .collect();
        while answered.load(Ordering::Relaxed) < CLIENTS * EACH / 4 {
            assert!(!clients.iter().any(tokio::task::JoinHandle::is_finished), "a client has given up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The first one sends; so does another.
        daemons[0].signal("-KILL");
        let mut ids = Vec::new();
        for client in clients {
            ids.extend(client.await.expect("every request is answered"));
        }
        // Whoever is too fast is stopped by nginx.
        let health = nginx.url("/healthz");
        let mut fast = Vec::new();
        for _ in 0..CLIENTS {
            let (web, health) = (web.clone(), health.clone());
            fast.push(tokio::spawn(async move {
                for _ in 0..1_000 {
                    if web.get(&health).send().await.expect("an answer").status()
                        == StatusCode::TOO_MANY_REQUESTS
                    {
                        return true;
                    }
                }
                false
            }));
        }
        let mut stopped = false;
        for one in fast {
            stopped |= one.await.expect("it ends");
        }
        assert!(stopped, "nginx lets more than a hundred a second through");
        ids
    });
    let store = sandbox.store();
    let mut distinct = ids;
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), CLIENTS * EACH, "each was promised an id of its own");
    assert!(distinct.iter().all(|id| store.get(*id).expect("read").is_some()));
    until("all are sent, by those that are left", || {
        let is_sent =
            |id: &Id| store.get(*id).expect("read").expect("it is there").summary.status == Status::Sent;
        distinct.iter().all(is_sent)
    });
    // A request that was asked twice is one notification.
    assert_eq!(sandbox.accepted(), (CLIENTS * EACH + 1) as u64);
    sandbox.ok(&["db", "check"]);
    let errors = fs::read_to_string(sandbox.path().join("error.log")).expect("its log");
    assert!(!errors.contains("[emerg]") && !errors.contains("[alert]"), "{errors}");
    for daemon in daemons {
        drop(daemon);
    }
}
