//! `top` on a real terminal (tmux): what a person sees, and what the keys do.

use std::process::{Command, Stdio};
use std::time::Duration;

use notifyctl::model::{Reason, Status, Verdict};

use crate::support::Sandbox;
use crate::support::daemon::until;
use crate::support::queue::{Queue, now, plain};

/// A terminal on which `top` runs; its server ends with it.
struct Terminal<'a> {
    sandbox: &'a Sandbox,
    name: &'static str,
}

impl<'a> Terminal<'a> {
    fn start(sandbox: &'a Sandbox, name: &'static str, size: (&str, &str), variables: &str) -> Self {
        let terminal = Self { sandbox, name };
        let line = format!(
            "cd {}; export NOTIFYCTL_CONFIG={}; {variables} {} top --interval 200ms; echo \"exit $?\"; stty -a; read",
            sandbox.path().display(),
            sandbox.path().join("notifyctl.toml").display(),
            env!("CARGO_BIN_EXE_notifyctl"),
        );
        terminal.tmux(&["new-session", "-d", "-x", size.0, "-y", size.1, &line]);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.sandbox.path().join(self.name)).args(["-f", "/dev/null"]).args(args);
        String::from_utf8(command.env("LC_ALL", "C.UTF-8").output().expect("run tmux").stdout).expect("UTF-8")
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn shows(&self, text: &str) -> String {
        let mut screen = String::new();
        until(&format!("{text} on the screen"), || {
            screen = self.screen();
            screen.contains(text)
        });
        screen
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// Something of everything: two channels, one in trouble, and two that died.
fn busy(sandbox: &Sandbox) -> (Queue, Vec<i64>) {
    sandbox.configure(
        "[channels.relay]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\nrate = [\"50/10s\", \"300/min\"]\n",
    );
    let mut queue = Queue::new(sandbox);
    let dead = (0..2).map(|_| queue.at(Status::Dead, "outbox")).collect();
    for status in [Status::Pending, Status::Sent, Status::Held] {
        queue.at(status, "outbox");
    }
    let id = queue.pending("relay", "ops@example.org");
    let trouble =
        Verdict::channel_trouble(Reason::Unreachable, "connect to 192.0.2.7:25: connection refused");
    queue.settle(id, "relay", Status::Pending, trouble.after(Duration::from_secs(3_600)));
    (queue, dead)
}

#[test]
fn everything_is_seen_on_a_small_and_on_a_large_terminal_and_changes_as_it_happens() {
    let sandbox = Sandbox::new();
    let (mut queue, dead) = busy(&sandbox);
    for (name, size) in [("small", ("80", "24")), ("large", ("140", "40"))] {
        let terminal = Terminal::start(&sandbox, name, size, "NO_COLOR=1");
        let screen = terminal.shows("q quit");
        for text in ["outbox", "relay", "paused", "sent/s", "no daemon and no pass", "q quit"] {
            assert!(screen.contains(text), "{text}: {screen}");
        }
        assert!(screen.contains(&dead[1].to_string()) && screen.contains("recipient_rejected"), "{screen}");
        assert!(
            screen.lines().all(|line| line.chars().count() <= size.0.parse().expect("a number")),
            "{screen}"
        );
        let styled = terminal.tmux(&["capture-pane", "-e", "-p"]);
        assert!(!styled.contains("38;5;"), "no colour: {styled:?}");
        let pending = queue.hand.store.counts().expect("count").of(Status::Pending);
        queue.pending("outbox", "ann@example.org");
        terminal.shows(&format!("{} pending", pending + 1));
        terminal.press(&["q"]);
        // The screen that was there before is back, and what is typed is seen again.
        terminal.shows("exit 0");
        let screen = terminal.shows(" icanon");
        assert!(
            !screen.contains("Latest dead") && screen.contains(" echo ") && screen.contains(" icanon"),
            "{screen}"
        );
    }
    let terminal = Terminal::start(&sandbox, "coloured", ("80", "24"), "TERM=screen");
    terminal.shows("Latest dead");
    let styled = terminal.tmux(&["capture-pane", "-e", "-p"]);
    assert!(styled.contains("38;5;1m"), "{styled:?}");
}

/// Beside an editor, or on a phone: what there is room for begins with the channels, by name, and what is the matter with them.
#[test]
fn with_little_room_the_channels_stay() {
    let sandbox = Sandbox::new();
    let (mut queue, _) = busy(&sandbox);
    // A number that is cut off would be another one.
    let long_ago = now().minus(Duration::from_secs(41 * 60 + 14));
    queue.hand.store.enqueue(long_ago, now(), &[plain("outbox", "ann@example.org")]).expect("enqueue");
    let store = rusqlite::Connection::open(sandbox.db()).expect("open");
    let set = "UPDATE sqlite_sequence SET seq = 123456780 WHERE name = 'notifications'";
    store.execute(set, []).expect("many were enqueued");
    let dead = queue.at(Status::Dead, "outbox");
    let terminal = Terminal::start(&sandbox, "middling", ("60", "15"), "NO_COLOR=1");
    // The last line is written last.
    let screen = terminal.shows("? help");
    let row = |screen: &str, name: &str, state: &str| {
        assert!(screen.lines().any(|line| line.contains(name) && line.contains(state)), "{name}: {screen}");
    };
    row(&screen, "│channel ", " pending ");
    row(&screen, "│outbox ", " ready");
    row(&screen, "│relay ", " paused ");
    row(&screen, "│outbox ", " 41 m ");
    row(&screen, &format!("│{dead} "), "recipient_rej");
    assert_eq!(dead, 123_456_781);
    assert!(screen.contains("? help") && !screen.contains("sent/s"), "{screen}");
    let many = "UPDATE channels SET pending = 12345, dead = 678901 WHERE name = 'outbox'";
    assert_eq!(store.execute(many, []).expect("many wait"), 1);
    let terminal = Terminal::start(&sandbox, "little", ("40", "9"), "NO_COLOR=1");
    let screen = terminal.shows("? help");
    row(&screen, "│relay ", " paused ");
    row(&screen, "│outbox ", " 12,345 ready");
    // What there is no room for is left out as a whole.
    assert!(!screen.contains("678") && !screen.contains("41 m"), "{screen}");
    let terminal = Terminal::start(&sandbox, "least", ("30", "9"), "NO_COLOR=1");
    let screen = terminal.shows("? help");
    row(&screen, "│relay ", " paused ");
    row(&screen, "│outbox ", " ready");
    assert!(!screen.contains("345"), "{screen}");
}

#[test]
fn keys_hold_release_filter_and_requeue_once_it_is_confirmed() {
    let sandbox = Sandbox::new();
    let (queue, dead) = busy(&sandbox);
    let terminal = Terminal::start(&sandbox, "tmux", ("100", "30"), "NO_COLOR=1");
    terminal.shows("Latest dead");
    let held = |name: &str| {
        let states = queue.hand.store.channels(now()).expect("read");
        states.into_iter().any(|state| state.channel == name && state.held.is_some())
    };
    terminal.press(&["h"]);
    terminal.shows("outbox is held; r releases it");
    assert!(held("outbox") && !held("relay"));
    // Why, and since when, stays what it was; and another key than the letter is no letter.
    sandbox.ok(&["channel", "hold", "outbox", "--reason", "until the relay is back"]);
    terminal.press(&["C-r", "M-r", "h"]);
    terminal.shows("outbox is held already; r releases it");
    terminal.shows("until the relay is back");
    assert!(sandbox.ok(&["status"]).contains("until the relay is back"));
    terminal.press(&["/", "xx", "C-h", "BSpace"]);
    terminal.shows("/▏");
    terminal.press(&["Escape"]);
    terminal.shows("? help");
    terminal.press(&["r"]);
    terminal.shows("outbox is released");
    assert!(!held("outbox"));

    terminal.press(&["/", "rel", "Enter"]);
    let screen = terminal.shows("/rel");
    assert!(!screen.contains("outbox "), "{screen}");
    terminal.press(&["/", "Escape"]);
    terminal.shows("recipient_rejected");

    // The older one of the two.
    terminal.press(&["Tab", "j", "R"]);
    terminal.shows(&format!("requeue {}: ", dead[0]));
    terminal.press(&["n"]);
    terminal.shows("nothing was changed");
    assert_eq!(queue.status(dead[0]), Some(Status::Dead));
    terminal.press(&["R", "y"]);
    terminal.shows(&format!("{} is requeued", dead[0]));
    assert_eq!([0, 1].map(|n| queue.status(dead[n])), [Some(Status::Pending), Some(Status::Dead)]);
    // It has looked again, and counts one less.
    terminal.shows("1 dead");
    terminal.press(&["Tab", "R"]);
    terminal.shows("requeue the one that is dead on outbox? y/n");
    terminal.press(&["y"]);
    terminal.shows("1 on outbox are requeued");
    assert_eq!(queue.status(dead[1]), Some(Status::Pending));

    terminal.press(&["?"]);
    terminal.shows("any key closes this");
    terminal.press(&["x"]);
    until("closed", || !terminal.screen().contains("any key closes this"));
    // Told to end, it gives the terminal back as well.
    let pid = terminal.tmux(&["list-panes", "-F", "#{pane_pid}"]);
    assert!(
        Command::new("pkill")
            .args(["-TERM", "-P", pid.trim(), "notifyctl"])
            .status()
            .expect("run pkill")
            .success()
    );
    terminal.shows("exit 0");
    terminal.shows(" icanon");
}

/// What a key asks for would be done to a store that nobody is shown.
#[test]
fn it_ends_when_the_store_is_not_where_it_was() {
    let sandbox = Sandbox::new();
    drop(Queue::new(&sandbox));
    let terminal = Terminal::start(&sandbox, "moved", ("80", "24"), "NO_COLOR=1");
    terminal.shows("q quit");
    std::fs::rename(sandbox.db(), sandbox.path().join("away.db")).expect("move it");
    let screen = terminal.shows("exit 75").replace('\n', "");
    assert!(screen.contains("it was moved or removed"), "{screen}");
}

#[test]
fn without_a_terminal_it_says_what_programs_read() {
    let sandbox = Sandbox::new();
    drop(Queue::new(&sandbox));
    let output = sandbox.notifyctl().arg("top").stdin(Stdio::null()).output().expect("run notifyctl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(64) && said.contains("status --json"), "{output:?}");
}
