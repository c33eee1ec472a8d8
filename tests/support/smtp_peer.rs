//! An SMTP server that misbehaves on cue: a script says at which command it does what; otherwise it is polite.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What the peer does instead of being polite.
#[derive(Debug, Clone)]
pub enum Act {
    /// Says this line.
    Say(&'static str),
    /// Is polite, so much later.
    Late(Duration),
    /// Says these bytes as they are.
    Raw(Vec<u8>),
    /// Says this line, and hangs up.
    SayAndClose(&'static str),
    /// Hangs up.
    Close,
    /// Neither reads nor says anything more until the test is over.
    Hang,
}

/// How one connection goes.
#[derive(Debug, Clone)]
pub struct Script {
    features: Vec<&'static str>,
    acts: Vec<(&'static str, usize, Act)>,
}

impl Script {
    /// A polite relay that offers what Postfix does, but for TLS and logins.
    pub fn polite() -> Self {
        Self { features: vec!["PIPELINING", "SIZE 10240000", "8BITMIME", "SMTPUTF8"], acts: Vec::new() }
    }

    /// Offers exactly this.
    pub fn offers(mut self, features: &[&'static str]) -> Self {
        self.features = features.to_vec();
        self
    }

    /// Does `act` at every `at`: `connect`, a command's verb, `line` (within a message) or `dot`.
    pub fn on(self, at: &'static str, act: Act) -> Self {
        self.on_nth(usize::MAX, at, act)
    }

    /// Does `act` at the `nth` (from 0) `at` of the connection.
    pub fn on_nth(mut self, nth: usize, at: &'static str, act: Act) -> Self {
        self.acts.push((at, nth, act));
        self
    }
}

/// What the peer saw on one connection.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Every command, without its line end.
    pub commands: Vec<String>,
    /// Every message whose final dot arrived, dots unstuffed.
    pub messages: Vec<String>,
    /// How many final dots came together with what follows them.
    pub followed: usize,
}

/// The running peer. Dropping it hangs up on everybody and joins its threads.
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    open: Mutex<Vec<TcpStream>>,
    over: Mutex<bool>,
    ended: Condvar,
}

impl Peer {
    /// Starts it: the first connection goes by the first script, the second by the second, and so on; the
    /// last one holds for all that follow.
    pub fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of our own");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let listener = thread::spawn(move || {
            let mut talks = Vec::new();
            for (number, stream) in listener.incoming().enumerate() {
                let stream = stream.expect("a connection");
                if *shared.over.lock().unwrap() {
                    break;
                }
                shared.open.lock().unwrap().push(stream.try_clone().expect("a second handle"));
                shared.seen.lock().unwrap().push(Seen::default());
                let script = scripts[number.min(scripts.len() - 1)].clone();
                let shared = Arc::clone(&shared);
                talks.push(thread::spawn(move || {
                    // The other side may leave whenever it likes.
                    let _ = Talk { number, script, shared, counts: Vec::new(), recipients: 0 }.run(&stream);
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                }));
            }
            for talk in talks {
                talk.join().expect("a talk that ends");
            }
        });
        Self { address, state, listener: Some(listener) }
    }

    /// What it has seen, one entry a connection.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Every command over all connections, by its verb.
    pub fn verbs(&self) -> Vec<String> {
        let verb = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        self.seen().iter().flat_map(|seen| seen.commands.iter().map(verb)).collect()
    }

    /// Says these bytes to everybody who is connected, whoever's turn it is.
    pub fn interject(&self, bytes: &[u8]) {
        for stream in self.state.open.lock().unwrap().iter() {
            say(stream, bytes).expect("somebody to say it to");
        }
    }

    /// Hangs up on everybody who is connected.
    pub fn hang_up(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        *self.state.over.lock().unwrap() = true;
        self.state.ended.notify_all();
        self.hang_up();
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// One connection.
struct Talk {
    number: usize,
    script: Script,
    shared: Arc<State>,
    counts: Vec<&'static str>,
    /// Recipients of the transaction under way that were accepted.
    recipients: usize,
}

/// The connection is over, as scripted or because the other side left.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Talk {
    fn run(mut self, stream: &TcpStream) -> Result<(), Over> {
        let mut reader = BufReader::new(stream);
        self.act(stream, "connect", "220 peer ESMTP")?;
        loop {
            let line = read_line(&mut reader)?;
            self.see(|seen| seen.commands.push(line.clone()));
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let greeting = self.features();
                    self.act(stream, "EHLO", &greeting)?;
                }
                "AUTH" => self.log_in(&mut reader, stream, &line)?,
                "DATA" => {
                    let polite = match self.recipients {
                        0 => "554 5.5.1 no valid recipients",
                        _ => "354 go ahead",
                    };
                    if self.act(stream, "DATA", polite)? && self.recipients > 0 {
                        self.message(&mut reader, stream)?;
                    }
                }
                "QUIT" => {
                    self.act(stream, "QUIT", "221 2.0.0 bye")?;
                    return Ok(());
                }
                _ => self.plain(stream, &verb)?,
            }
        }
    }

    fn features(&self) -> String {
        let mut lines = vec!["peer"];
        lines.extend(&self.script.features);
        let last = lines.len() - 1;
        let dash = |at| if at == last { ' ' } else { '-' };
        let lines = lines.iter().enumerate().map(|(at, line)| format!("250{}{line}", dash(at)));
        lines.collect::<Vec<_>>().join("\r\n")
    }

    /// The commands that are answered in one line.
    fn plain(&mut self, stream: &TcpStream, verb: &str) -> Result<(), Over> {
        const POLITE: [(&str, &str); 5] = [
            ("STARTTLS", "220 go ahead"),
            ("MAIL", "250 2.1.0 ok"),
            ("RCPT", "250 2.1.5 ok"),
            ("RSET", "250 2.0.0 ok"),
            ("NOOP", "250 2.0.0 ok"),
        ];
        match POLITE.iter().find(|(at, _)| *at == verb) {
            Some((at, polite)) => {
                let agreed = self.act(stream, at, polite)?;
                match *at {
                    "RCPT" => self.recipients += usize::from(agreed),
                    _ => self.recipients = 0,
                }
                Ok(())
            }
            None => Ok(say(stream, b"500 5.5.2 what\r\n")?),
        }
    }

    fn log_in(&mut self, reader: &mut impl BufRead, stream: &TcpStream, line: &str) -> Result<(), Over> {
        if line == "AUTH LOGIN" {
            for challenge in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                say(stream, format!("{challenge}\r\n").as_bytes())?;
                let answer = read_line(reader)?;
                self.see(|seen| seen.commands.push(answer.clone()));
            }
        }
        self.act(stream, "AUTH", "235 2.7.0 welcome").map(|_| ())
    }

    fn message(&mut self, reader: &mut BufReader<&TcpStream>, stream: &TcpStream) -> Result<(), Over> {
        let mut message = String::new();
        loop {
            self.act(stream, "line", "")?;
            let mut line = Vec::new();
            if reader.read_until(b'\n', &mut line)? == 0 {
                return Err(Over);
            }
            let line = String::from_utf8_lossy(&line);
            if line == ".\r\n" {
                break;
            }
            message.push_str(line.strip_prefix('.').unwrap_or(&line));
        }
        let followed = !reader.buffer().is_empty();
        self.see(|seen| {
            seen.messages.push(message.clone());
            seen.followed += usize::from(followed);
        });
        self.recipients = 0;
        let number = self.shared.seen.lock().unwrap()[self.number].messages.len();
        self.act(stream, "dot", &format!("250 2.0.0 ok: queued as {}-{number}", self.number))?;
        Ok(())
    }

    /// Does what the script says here, or says `polite`; tells which.
    fn act(&mut self, stream: &TcpStream, at: &'static str, polite: &str) -> Result<bool, Over> {
        let nth = self.counts.iter().filter(|seen| **seen == at).count();
        self.counts.push(at);
        let scripted =
            self.script.acts.iter().find(|(on, when, _)| *on == at && [usize::MAX, nth].contains(when));
        if let Some((_, _, Act::Late(wait))) = scripted {
            thread::sleep(*wait);
        }
        let Some((_, _, act)) = scripted.filter(|(_, _, act)| !matches!(act, Act::Late(_))) else {
            if !polite.is_empty() {
                say(stream, format!("{polite}\r\n").as_bytes())?;
            }
            return Ok(true);
        };
        match act {
            Act::Late(_) => {}
            Act::Say(line) => say(stream, format!("{line}\r\n").as_bytes())?,
            Act::Raw(bytes) => say(stream, bytes)?,
            Act::SayAndClose(line) => {
                say(stream, format!("{line}\r\n").as_bytes())?;
                return Err(Over);
            }
            Act::Close => return Err(Over),
            Act::Hang => {
                let over = self.shared.over.lock().unwrap();
                drop(self.shared.ended.wait_while(over, |over| !*over).unwrap());
                return Err(Over);
            }
        }
        Ok(false)
    }

    fn see(&self, see: impl FnOnce(&mut Seen)) {
        see(&mut self.shared.seen.lock().unwrap()[self.number]);
    }
}

fn read_line(reader: &mut impl BufRead) -> Result<String, Over> {
    let mut line = Vec::new();
    match reader.take(100_000).read_until(b'\n', &mut line)? {
        0 => Err(Over),
        _ => Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()),
    }
}

fn say(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(bytes)
}
