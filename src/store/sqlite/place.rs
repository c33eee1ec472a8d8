//! Whether the store's name still means the file that was opened.
//!
//! Who goes on with a file that was moved or removed accepts what nobody will ever find again; and together with those who
//! open what stands there now, under the same log, would damage both.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{Connection, ffi};

use super::Sqlite;
use crate::store::Result;

/// The file that was opened.
pub(super) struct Place(Option<(u64, u64)>);

impl Place {
    /// The file at `database`, which has just been opened.
    pub(super) fn of(database: &Path) -> Self {
        Self(std::fs::metadata(database).ok().as_ref().map(identity))
    }

    /// Asks the file system; costs a microsecond. One that cannot be asked now says nothing.
    pub(super) fn is_moved(&self, database: &Path) -> bool {
        match std::fs::metadata(database) {
            Ok(found) => self.0.is_some_and(|opened| opened != identity(&found)),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// Fails as SQLite itself does where it looks: when it makes a rollback journal, which in WAL mode there is none of.
    pub(super) fn refuse_moved(&self, database: &Path) -> rusqlite::Result<()> {
        match self.is_moved(database) {
            true => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), None)),
            false => Ok(()),
        }
    }
}

impl Sqlite {
    /// Reads, or moves the log, where the store's name still means this file.
    pub(super) fn read_here<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.read(|connection| {
            self.place.refuse_moved(&self.path)?;
            read(connection)
        })
    }
}

fn identity(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::model::Timestamp;
    use crate::store::sqlite::Sqlite;
    use crate::store::{Access, ErrorKind, Reader, Writer};

    const NOW: Timestamp = Timestamp(1_795_214_486_000);

    #[test]
    fn a_store_that_was_moved_or_replaced_takes_nothing_more_and_its_log_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let open = || Sqlite::open(&at("n.db"), Duration::from_secs(5), Access::Create, NOW).unwrap();
        let mut first = open();
        let reader = Sqlite::open(&at("n.db"), Duration::from_secs(5), Access::Read, NOW).unwrap();
        first.hold_channel(NOW, "mail", "no reason").unwrap();
        reader.version().unwrap();
        ["n.db", "n.db-wal", "n.db-shm"]
            .iter()
            .for_each(|name| std::fs::rename(at(name), at(&format!("away-{name}"))).unwrap());
        let log = || std::fs::read(at("away-n.db-wal")).unwrap();
        let before = log();
        let mut refused = || {
            let kinds = [
                first.hold_channel(NOW, "mail", "no reason").unwrap_err().kind,
                first.prove().unwrap_err().kind,
                first.checkpoint().unwrap_err().kind,
                reader.version().unwrap_err().kind,
                reader.mark().unwrap_err().kind,
                reader.touched(0, 1).unwrap_err().kind,
            ];
            assert_eq!(kinds, [ErrorKind::Moved; 6]);
        };
        refused();
        let mut second = open();
        refused();
        second.hold_channel(NOW, "mail", "no reason").unwrap();
        drop(first);
        assert!(log() == before && at("n.db-wal").exists());
        second.release_channel(NOW, "mail").unwrap();
    }
}
