//! The other side of both channels, in this process: accepts everything, slowly enough to be caught in the middle of
//! it, and writes down what came before it says that it has it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mail_parser::MessageParser;

/// What arrived once.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When it had arrived whole.
    pub at: Instant,
    /// The same on every repetition: the part of the Message-ID before the @, or the `webhook-id`.
    pub stable_id: String,
    /// The text that was told.
    pub message: String,
}

/// Counts what arrives by SMTP and as webhooks. Its threads end with their clients and with the bench.
pub struct Receiver {
    smtp: SocketAddr,
    http: SocketAddr,
    log: Arc<Mutex<Vec<Raw>>>,
}

/// As it came over the wire; taken apart when nobody waits any more.
#[derive(Clone)]
enum Raw {
    Mail(Instant, Vec<u8>),
    Post(Instant, String, Vec<u8>),
}

type Log = Arc<Mutex<Vec<Raw>>>;

impl Receiver {
    /// Starts it. Each acceptance takes a random time below `slowest`.
    pub fn start(slowest: Duration) -> Self {
        let log = Log::default();
        let smtp = listen(&log, move |stream, log| converse(stream, log, slowest));
        let http = listen(&log, move |stream, log| answer(stream, log, slowest));
        Self { smtp, http, log }
    }

    /// The part of a channel's configuration that makes it send mail to here.
    pub fn smtp(&self) -> String {
        format!(
            "kind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"notifyctl@example.org\"\n",
            self.smtp.port()
        )
    }

    /// The part of a channel's configuration that makes it post to here.
    pub fn webhook(&self) -> String {
        format!("kind = \"webhook\"\nurl = \"http://{}/\"\n", self.http)
    }

    /// How many have arrived.
    pub fn count(&self) -> usize {
        self.log.lock().expect("whole").len()
    }

    /// What has arrived, in its order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        let log = self.log.lock().expect("whole").clone();
        log.iter().map(Raw::open).collect()
    }
}

fn listen(
    log: &Log,
    serve: impl Fn(&TcpStream, &Log) -> io::Result<()> + Copy + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of our own");
    let address = listener.local_addr().expect("bound");
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = Arc::clone(&log);
            // An error ends the connection: its client has gone, or was killed.
            std::thread::spawn(move || drop(stream.set_nodelay(true).and_then(|()| serve(&stream, &log))));
        }
    });
    address
}

/// Takes its time before it has it, and before it says so: a client can be killed in either.
fn accept(log: &Log, raw: impl FnOnce(Instant) -> Raw, slowest: Duration) {
    std::thread::sleep(slowest.mul_f64(fastrand::f64() / 2.0));
    log.lock().expect("whole").push(raw(Instant::now()));
    std::thread::sleep(slowest.mul_f64(fastrand::f64() / 2.0));
}

/// One SMTP session.
fn converse(mut stream: &TcpStream, log: &Log, slowest: Duration) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    stream.write_all(b"220 receiver ESMTP\r\n")?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let reply: &[u8] = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => b"250-receiver\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n")?;
                let mail = mail(&mut reader)?;
                accept(log, |at| Raw::Mail(at, mail), slowest);
                b"250 2.0.0 ok\r\n"
            }
            "QUIT" => return stream.write_all(b"221 2.0.0 bye\r\n"),
            _ => b"250 2.0.0 ok\r\n",
        };
        stream.write_all(reply)?;
        line.clear();
    }
    Ok(())
}

/// A message up to its final dot, dots unstuffed. One that breaks off has not arrived.
fn mail(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(mail);
        }
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

/// The requests of one HTTP connection.
fn answer(mut stream: &TcpStream, log: &Log, slowest: Duration) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut id, mut line) = (0, String::new(), String::new());
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        while !line.trim().is_empty() {
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "webhook-id" => id = value.trim().to_owned(),
                _ => {}
            }
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        accept(log, |at| Raw::Post(at, id, body), slowest);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}

impl Raw {
    fn open(&self) -> Arrival {
        match self {
            Self::Mail(at, mail) => {
                let mail = MessageParser::default().parse(mail).expect("a mail");
                let id = mail.message_id().expect("a Message-ID");
                Arrival {
                    at: *at,
                    stable_id: id.split('@').next().unwrap_or_default().to_owned(),
                    message: mail.body_text(0).expect("a text").replace("\r\n", "\n"),
                }
            }
            Self::Post(at, id, body) => {
                let envelope: serde_json::Value = serde_json::from_slice(body).expect("JSON");
                let message = envelope["message"].as_str().expect("a text").to_owned();
                Arrival { at: *at, stable_id: id.clone(), message }
            }
        }
    }
}
