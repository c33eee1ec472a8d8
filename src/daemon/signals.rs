//! The signals that a daemon heeds.

use std::io;

use tokio::signal::unix::{self, SignalKind};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// To end: TERM or INT, by its name.
    Stop(&'static str),
    /// HUP.
    Reload,
}

/// The signals that have not been heeded yet.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// The next one. Nothing is lost when it is not waited for.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("TERM"),
            _ = self.interrupt.recv() => Signal::Stop("INT"),
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}
