//! The other side of both channels, in this process: accepts everything, slowly enough to be caught in the middle of
//! it, and writes down what came before it says that it has it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mail_parser::MessageParser;

use crate::support::http_sink::{answer, listen};

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
        let (mails, posts) = (Arc::clone(&log), Arc::clone(&log));
        let smtp = listen(move |stream| converse(stream, &mails, slowest));
        let http = listen(move |stream| {
            answer(stream, |post| accept(&posts, |at| Raw::Post(at, post.id, post.body), slowest))
        });
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
