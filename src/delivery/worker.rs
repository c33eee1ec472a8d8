//! What a process that delivers is called, and what it draws its random numbers from.

use std::io;

use crate::model::Timestamp;

/// `host:pid:start`: unlike a process id alone, never the same twice.
#[must_use]
pub fn worker_name(now: Timestamp) -> String {
    let system = rustix::system::uname();
    format!("{}:{}:{}", system.nodename().to_string_lossy(), std::process::id(), now.0 / 1_000)
}

/// Random numbers for jitter and lease tokens, seeded by the system.
///
/// # Errors
/// When the system has none to give.
pub fn random() -> io::Result<fastrand::Rng> {
    getrandom::u64().map(fastrand::Rng::with_seed).map_err(io::Error::other)
}
