//! Ports for servers that cannot say which one they took.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

/// A port of the loopback address that nobody listens on and that nobody else is told of while this process lives.
///
/// Below those that the kernel gives to whoever asks for any (a connection under way would have one of these before
/// its server is up), and claimed among all processes of ours by a name in the same network namespace, which the
/// kernel takes back from a process that was killed.
///
/// # Panics
///
/// If none is left.
pub fn free_port() -> u16 {
    static NEXT: Mutex<u16> = Mutex::new(0);
    let range =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("read the port range");
    let low: u16 =
        range.split_whitespace().next().and_then(|low| low.parse().ok()).expect("the lowest one given");
    let first = low / 2;
    let mut next = NEXT.lock().expect("nobody panics with it");
    for _ in first..low {
        let port = first + *next % (low - first);
        *next = (*next + 1) % (low - first);
        let name =
            SocketAddr::from_abstract_name(format!("notifyctl-tests-port-{port}")).expect("a short name");
        let Ok(claim) = UnixListener::bind_addr(&name) else { continue };
        // A claim that is closed is one that others can make: this one lasts as long as the process.
        std::mem::forget(claim);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is left from {first} to {low}");
}
