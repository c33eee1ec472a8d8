//! What the service manager is told (sd_notify(3)); without one, nobody.
//!
//! Nobody waits for it: a manager that does not read must not keep notifications from going out. What it has no room for is
//! told again with what comes next, at the latest with the next sign of life; a sign of life itself is not.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex, PoisonError};

use sd_notify::NotifyState;

use super::LOG_TARGET;

/// Where its address stands.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// How many messages may wait for it. The last ones count: where it stands now.
const OWED: usize = 16;

/// The way to the service manager.
#[derive(Clone, Default)]
pub(super) struct Manager(Option<Arc<Way>>);

struct Way {
    socket: UnixDatagram,
    address: SocketAddr,
    /// What it had no room for, the oldest first.
    owed: Mutex<VecDeque<String>>,
}

impl Manager {
    /// The one that started this process, if one did and can be told.
    pub(super) fn of_this_process() -> Self {
        let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        Self::at(&name).unwrap_or_else(|error| {
            log::warn!(target: LOG_TARGET, "the service manager cannot be told anything: {VARIABLE}: {error}");
            Self::default()
        })
    }

    /// The one that listens at `name`: a path, or an abstract name behind an `@`.
    fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self(Some(Arc::new(Way { socket, address, owed: Mutex::default() }))))
    }

    /// Everything stands: what depends on us may begin.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is read anew; [`Manager::ready`] ends it.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => log::warn!(target: LOG_TARGET, "read the monotonic clock: {error}"),
        }
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    /// The sending loop moves.
    pub(super) fn alive(&self) {
        let Some(way) = &self.0 else { return };
        if way.tell_owed() {
            // One that was not told in time says nothing later.
            way.send(&NotifyState::Watchdog.to_string());
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(way) = &self.0 else { return };
        let text: Vec<String> = states.iter().map(ToString::to_string).collect();
        way.owe(text.join("\n"));
        way.tell_owed();
    }
}

impl Way {
    fn owe(&self, text: String) {
        let mut owed = self.owed();
        if owed.len() == OWED {
            owed.pop_front();
        }
        owed.push_back(text);
    }

    /// Tells what is owed, in its order; says whether that is all.
    fn tell_owed(&self) -> bool {
        let mut owed = self.owed();
        while let Some(text) = owed.front() {
            if !self.send(text) {
                return false;
            }
            owed.pop_front();
        }
        true
    }

    /// Says whether there was room. Whoever does not listen misses nothing that matters here.
    fn send(&self, text: &str) -> bool {
        match self.socket.send_to_addr(text.as_bytes(), &self.address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => log::debug!(target: LOG_TARGET, "tell the service manager: {error}"),
            Ok(_) => {}
        }
        true
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it has been told until now.
    fn told(manager: &UnixDatagram) -> Vec<String> {
        manager.set_nonblocking(true).unwrap();
        let mut bytes = [0; 4096];
        std::iter::from_fn(|| {
            let length = manager.recv(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
        })
        .collect()
    }

    /// Sends until there is no room.
    fn fill(name: &OsStr) {
        let way = Manager::at(name).unwrap().0.unwrap();
        while way.send("filler") {}
    }

    #[test]
    fn one_that_does_not_read_is_not_waited_for_and_told_later_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manager");
        let listens = UnixDatagram::bind(&path).unwrap();
        fill(path.as_os_str());
        let manager = Manager::at(path.as_os_str()).unwrap();
        manager.ready("running: sender");
        for _ in 0..100 {
            manager.alive();
        }
        assert!(told(&listens).iter().all(|text| text == "filler"));
        manager.alive();
        assert_eq!(told(&listens), ["READY=1\nSTATUS=running: sender", "WATCHDOG=1"]);

        fill(path.as_os_str());
        for n in 0..100 {
            manager.ready(&format!("{n}"));
        }
        manager.stopping();
        told(&listens);
        // As many at a time as there is room for.
        let told: Vec<_> = (0..=OWED).flat_map(|_| (manager.alive(), told(&listens)).1).collect();
        assert!(told.iter().filter(|text| *text != "WATCHDOG=1").count() <= OWED, "{told:?}");
        let stopping = told.iter().position(|text| text == "STOPPING=1\nSTATUS=draining").unwrap();
        assert_eq!(told[stopping - 1], "READY=1\nSTATUS=99");
    }

    #[test]
    fn one_with_an_abstract_name_is_told_too_and_one_that_is_gone_is_no_trouble() {
        let name = format!("notifyctl-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listens = UnixDatagram::bind_addr(&address).unwrap();
        let manager = Manager::at(OsStr::new(&format!("@{name}"))).unwrap();
        manager.reloading();
        assert!(told(&listens)[0].starts_with("RELOADING=1\nMONOTONIC_USEC="));
        drop(listens);
        manager.ready("nobody hears it");
        manager.alive();
    }
}
