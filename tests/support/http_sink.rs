//! Receivers that accept every POST: what came, read in one place.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::Timestamp;

/// One POST.
pub struct Post {
    /// When its first line came, by the receiver's clock.
    pub came: Timestamp,
    /// Its `webhook-id`.
    pub id: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Post {
    /// The next one on a connection; `None` at its end.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let (mut length, mut id, mut line) = (0, String::new(), String::new());
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let came = SystemClock.now();
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
        Ok(Some(Self { came, id, body }))
    }
}

/// Answers every POST of a connection with 204, once `take` has it.
pub fn answer(mut stream: &TcpStream, take: impl Fn(Post)) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(post) = Post::read(&mut reader)? {
        take(post);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
    Ok(())
}

/// Serves every connection to a port of its own, each on a thread; they end with their clients and with the test run.
pub fn listen(serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of our own");
    let address = listener.local_addr().expect("bound");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            // An error ends the connection: its client has gone, or was killed.
            thread::spawn(move || drop(stream.set_nodelay(true).and_then(|()| serve(&stream))));
        }
    });
    address
}

/// A receiver that remembers when each came and what its id was.
pub struct HttpSink {
    address: SocketAddr,
    received: Arc<Mutex<Vec<(Timestamp, String)>>>,
}

impl HttpSink {
    pub fn start() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        let address = listen(move |stream| {
            answer(stream, |post| log.lock().expect("whole").push((post.came, post.id)))
        });
        Self { address, received }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// When each came by the receiver's clock, and its `webhook-id`.
    pub fn received(&self) -> Vec<(Timestamp, String)> {
        self.received.lock().expect("whole").clone()
    }
}
