//! What a peer can do to a connection instead of answering.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// What a peer does instead of answering.
#[derive(Debug, Clone)]
pub enum Act {
    /// Says nothing more, and reads no more.
    Silence,
    /// Says the first at once, and the second one byte a second.
    Drip(Vec<u8>, Vec<u8>),
    /// Says this.
    Say(Vec<u8>),
    /// Says this over and over, for as long as it is listened to.
    Endless(Vec<u8>),
    /// Says this, and hangs up.
    SayAndClose(Vec<u8>),
    /// Says this, and resets the connection (RST).
    SayAndReset(Vec<u8>),
}

impl Act {
    /// Does it. Whether the connection goes on.
    pub fn perform(&self, mut stream: &TcpStream) -> bool {
        match self {
            Self::Silence => wait_for_the_end(stream),
            Self::Drip(first, rest) => {
                let _ = stream.write_all(first);
                for byte in rest {
                    std::thread::sleep(Duration::from_secs(1));
                    if stream.write_all(&[*byte]).is_err() {
                        return false;
                    }
                }
                return true;
            }
            Self::Say(bytes) => return stream.write_all(bytes).is_ok(),
            Self::Endless(bytes) => {
                let many = bytes.repeat(65_536 / bytes.len() + 1);
                while stream.write_all(&many).is_ok() {}
            }
            Self::SayAndClose(bytes) => {
                let _ = stream.write_all(bytes);
                // What is unread when it closes would make it a reset.
                let _ = stream.shutdown(std::net::Shutdown::Write);
                wait_for_the_end(stream);
            }
            Self::SayAndReset(bytes) => {
                let _ = stream.write_all(bytes);
                set_socket_linger(stream, Some(Duration::ZERO)).expect("a reset at its end");
            }
        }
        false
    }
}

/// Until the other side has left, or the limit of the peer's time is over.
fn wait_for_the_end(mut stream: &TcpStream) {
    while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
}
