//! A receiver that accepts every POST and remembers when it came and what its id was.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::Timestamp;

/// A receiver on a port of its own; its threads end with the test run.
pub struct HttpSink {
    address: SocketAddr,
    received: Arc<Mutex<Vec<(Timestamp, String)>>>,
}

impl HttpSink {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of our own");
        let address = listener.local_addr().expect("bound");
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                // An error ends the connection: its client has gone.
                thread::spawn(move || drop(serve(stream, &log)));
            }
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

fn serve(mut stream: TcpStream, log: &Mutex<Vec<(Timestamp, String)>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut length, mut id, mut line) = (0, String::new(), String::new());
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
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
            reader.read_line(&mut line)?;
        }
        reader.read_exact(&mut vec![0; length])?;
        log.lock().expect("whole").push((came, id));
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}
