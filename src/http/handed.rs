//! Sockets that a service manager listens on in our place (sd_listen_fds(3)): while we start again, nobody is refused.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use super::Error;

/// What we were handed; empty when nobody did.
#[derive(Debug, Default)]
pub struct Handed {
    pub(super) tcp: Vec<TcpListener>,
    pub(super) unix: Vec<UnixListener>,
}

impl Handed {
    /// Takes them, and the variables that name them, so that no program that is started later does.
    ///
    /// To be called first of all, before there is a second thread: the variables are everybody's.
    ///
    /// # Errors
    /// When one of them is no stream socket.
    pub fn take() -> Result<Self, Error> {
        let mut sockets = ListenFd::from_env();
        let mut handed = Self::default();
        for n in 0..sockets.len() {
            // One that is of another kind is left at its place.
            if let Ok(found) = sockets.take_unix_listener(n) {
                handed.unix.extend(found);
            } else {
                let found = sockets.take_tcp_listener(n);
                let found =
                    found.map_err(|error| Error::listen(&format!("socket {n} of $LISTEN_FDS"), &error))?;
                handed.tcp.extend(found);
            }
        }
        Ok(handed)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.unix.is_empty()
    }
}
