//! The parts of a bench that are processes of their own: this program again, ended by its standard input.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A part at work; it ends when this is dropped, or when this program dies.
pub struct Part {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Part {
    /// Starts the part of this name.
    pub fn start(name: &str, what: &impl Serialize) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("our own path"));
        command.args(["part", name, &serde_json::to_string(what).expect("JSON")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, said }
    }

    /// What it says next.
    pub fn hear<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that is such a part: it says where it listens.
pub fn server(name: &str, what: &impl Serialize) -> (Part, SocketAddr) {
    let mut part = Part::start(name, what);
    let address = part.hear();
    (part, address)
}

/// In a part: says something to who started it.
pub fn say(what: &impl Serialize) {
    let mut line = serde_json::to_vec(what).expect("JSON");
    line.push(b'\n');
    let mut stdout = std::io::stdout();
    stdout.write_all(&line).and_then(|()| stdout.flush()).expect("somebody listens");
}

/// In a part: stays until nobody is there who started it.
pub fn stay() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
