//! What a write that failed leaves behind: doubt whether the next one gets to disk, and maybe a torn log.

use std::cell::Cell;

use rusqlite::Connection;

use crate::store::ErrorKind;

/// What writes of this connection have left behind.
#[derive(Default)]
pub(super) struct Harm {
    /// Whether a commit failed at its sync. What it wrote may stand behind the log's end, where nobody who is there
    /// sees it; but whoever finds the log later would take it for committed.
    torn: Cell<bool>,
    /// Whether nothing has shown yet that what failed works again.
    doubtful: Cell<bool>,
}

impl Harm {
    /// A write failed.
    pub(super) fn note(&self, kind: ErrorKind) {
        if kind == ErrorKind::Io {
            self.torn.set(true);
        }
        // Who waits in vain for others has not written.
        if kind != ErrorKind::Busy {
            self.doubtful.set(true);
        }
    }

    /// Whether the log may hold what was never committed.
    pub(super) fn may_be_torn(&self) -> bool {
        self.torn.get()
    }

    /// Writes what stands there already, where there is doubt: one page, which the commit syncs.
    pub(super) fn try_again(&self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.doubtful.get() {
            return Ok(());
        }
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        connection.pragma_update(None, "user_version", version)
    }

    /// The commit of [`Harm::try_again`] got to disk.
    pub(super) fn is_over(&self) {
        self.doubtful.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_there_is_doubt_something_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        let connection = Connection::open(&database).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 7").unwrap();
        let frames =
            || connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get::<_, u64>(1)).unwrap();
        let before = frames();
        let harm = Harm::default();
        harm.try_again(&connection).unwrap();
        harm.note(ErrorKind::Busy);
        harm.try_again(&connection).unwrap();
        assert_eq!(frames(), before);
        for kind in [ErrorKind::Io, ErrorKind::Full] {
            harm.note(kind);
            let before = frames();
            harm.try_again(&connection).unwrap();
            assert_eq!(frames(), before + 1, "{kind:?}");
            harm.is_over();
            harm.try_again(&connection).unwrap();
            assert_eq!(frames(), before + 1, "{kind:?}");
        }
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 7);
        assert!(harm.may_be_torn());
    }
}
