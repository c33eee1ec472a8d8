//! Who writes is seen by the log: the kernel tells of each write to it (inotify), so that nobody has to ask.
//!
//! The index of the log would tell commits apart, and must not be opened beside SQLite: to close any descriptor of that
//! file drops the locks that this process has on it (fcntl(2)). The log itself carries no locks.

use std::io::{self, ErrorKind as Io};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::{open, wal};

/// Tells of writes to the log of one database.
pub struct Watch {
    events: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Begins; some connection must be open and stay so, since the last one to close may remove the log.
    pub(crate) fn of(database: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let log = wal::path(&open::behind_links(database));
        inotify::add_watch(&events, log, WatchFlags::MODIFY | WatchFlags::DELETE_SELF)?;
        // What is deprecated is that a type whose descriptor changes is taken too; an owned one does not change.
        #[expect(deprecated, reason = "the other way is unsafe, which is forbidden here")]
        let events = AsyncFd::new(events)?;
        Ok(Self { events })
    }

    /// Waits until something has been written since it said so last. Nothing is lost when it is not waited for.
    ///
    /// # Errors
    /// When the log is gone: there will be no more events.
    pub async fn next(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            match drain(ready.get_inner()) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == Io::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Takes what there is; would block when there is nothing.
fn drain(events: &OwnedFd) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); 1_024];
    let mut reader = inotify::Reader::new(events, &mut space);
    let mut any = false;
    loop {
        match reader.next() {
            Ok(event) if event.events().contains(inotify::ReadFlags::IGNORED) => {
                return Err(io::Error::new(Io::NotFound, "its log is gone"));
            }
            Ok(_) => any = true,
            Err(Errno::WOULDBLOCK) if any => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_write_to_the_log_is_told_and_then_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        assert!(Watch::of(&database).is_err(), "there is no log");
        let log = wal::path(&database);
        std::fs::write(&log, "").unwrap();
        let mut watch = Watch::of(&database).unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(20), watch.next()).await;
        assert!(quiet.is_err(), "nobody has written");
        for text in ["one", "two"] {
            std::fs::write(&log, text).unwrap();
            watch.next().await.unwrap();
        }
        std::fs::remove_file(&log).unwrap();
        assert_eq!(watch.next().await.unwrap_err().kind(), Io::NotFound);
    }
}
