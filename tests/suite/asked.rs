//! Programs that are asked for a secret, or tested: side by side, and none is left behind by whoever asked.

use std::process::{Command, Stdio};

use crate::support::Sandbox;
use crate::support::daemon::until;

/// Whether a program runs whose arguments name this folder: those that the tests' configurations ask do.
fn one_runs(sandbox: &Sandbox) -> bool {
    let name = sandbox.path().to_str().expect("UTF-8");
    let processes = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| std::fs::read(entry.expect("an entry").path().join("cmdline")).ok());
    processes
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .any(|line| line.starts_with("sleep") && line.contains(name))
}

/// A program that never ends, and can be found by the folder among its arguments.
fn endless(sandbox: &Sandbox) -> String {
    // `sleep` looks at its arguments before it sleeps: the folder's name is that of the program.
    format!("[\"bash\", \"-c\", \"exec -a 'sleep {}' sleep 600\"]", sandbox.path().display())
}

fn hook(name: &str, command: &str) -> String {
    format!("[channels.{name}]\nkind = \"webhook\"\nurl_command = {command}\n")
}

#[test]
fn a_signal_ends_what_is_asked_for_a_secret_with_who_asks() {
    let sandbox = Sandbox::new();
    sandbox.configure(&hook("a", &endless(&sandbox)));
    let commands: [&[&str]; 3] =
        [&["send-pending"], &["config", "check"], &["channel", "test", "a", "--to", "ann@example.org"]];
    for args in commands {
        for (name, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1)] {
            let mut command = sandbox.notifyctl();
            let mut asks = command.args(args).stderr(Stdio::null()).spawn().expect("run notifyctl");
            until("it is asked", || one_runs(&sandbox));
            let kill = Command::new("kill").args([name, &asks.id().to_string()]).status();
            assert!(kill.expect("run kill").success());
            let status = asks.wait().expect("wait for it");
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(number),
                "{args:?} {status}"
            );
            until("nothing is left", || !one_runs(&sandbox));
        }
    }
}

#[test]
fn a_signal_ends_the_program_of_a_channel_that_is_tested() {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("[channels.a]\nkind = \"exec\"\ncommand = {}\n", endless(&sandbox)));
    for name in ["-INT", "-TERM", "-HUP"] {
        let mut command = sandbox.notifyctl();
        command.args(["channel", "test", "a", "--to", "ann"]).stderr(Stdio::piped());
        let test = command.spawn().expect("run notifyctl");
        until("it runs", || one_runs(&sandbox));
        let kill = Command::new("kill").args([name, &test.id().to_string()]).status();
        assert!(kill.expect("run kill").success());
        let ended = test.wait_with_output().expect("wait for it");
        until("nothing is left", || !one_runs(&sandbox));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("a signal ended the test"), "{said}");
        assert_eq!(ended.status.code(), Some(75), "{said}");
    }
}

#[test]
fn what_is_not_waited_for_any_more_is_not_left_behind() {
    let sandbox = Sandbox::new();
    let peer = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = peer.local_addr().expect("its address");
    let command = endless(&sandbox);
    sandbox.configure(&format!("[cache]\nurl = \"redis://{address}/0\"\npassword_command = {command}\n"));
    sandbox.ok(&["enqueue", "--to", "ann@example.org", "hello"]);
    for _ in 0..5 {
        sandbox.ok(&["status"]);
        until("nothing is left", || !one_runs(&sandbox));
    }
}

/// Each waits for the others: asked one after the other, none would ever come to its end.
#[test]
fn programs_are_asked_side_by_side() {
    let sandbox = Sandbox::new();
    let names = ["a", "b", "c", "d"];
    let folder = sandbox.path().display();
    let command = |name: &str| {
        let waits: String =
            names.map(|other| format!("until [ -e {folder}/{other}.here ]; do sleep 0.01; done; ")).concat();
        format!("[\"sh\", \"-c\", \": >{folder}/{name}.here; {waits} echo http://127.0.0.1:9/\"]")
    };
    sandbox.configure(&names.map(|name| hook(name, &command(name))).concat());
    let here = |name: &str| sandbox.path().join(format!("{name}.here"));
    for args in [&["config", "check"][..], &["send-pending"]] {
        sandbox.ok(args);
        for name in names {
            std::fs::remove_file(here(name)).expect("it was asked");
        }
    }
}
