//! What happened, for those who watch: told by the transaction that did it, in one small row, and read in order.
//!
//! Acceptance costs nothing here: that a notification was enqueued is told by its id. Everything else stands in a
//! ring of bounded length. A row says up to which id notifications had been accepted when it was written, and
//! writers come one after another: so both make one order, the same for whoever asks.

mod entry;
mod read;

use rusqlite::{Connection, params};

use self::entry::{Entry, Packed};
use super::sql::sql;
use crate::model::{EventKind, Id, Reason, Status, Timestamp};

pub(super) use self::read::{cursor, events, mark, touched};

/// How many events are kept: some ten bytes each in a row of their own, three or four among many.
const KEPT: i64 = 200_000;

/// How many are forgotten at once; in between nothing is removed.
const BITE: i64 = 1_024;

/// The most events of one row, so that whoever reads a part of it does not unpack it over and over.
const ROW: u32 = 4_096;

/// The longest detail that is kept, in bytes.
const DETAIL: usize = 200;

/// What a transaction tells, gathered on the way and written once at its end.
#[derive(Default)]
pub(super) struct Told {
    full: Vec<Packed>,
    row: Packed,
}

impl Told {
    /// An attempt was claimed.
    pub(super) fn claimed(&mut self, id: Id, number: u32) {
        self.push(&Entry::Claimed { id, number });
    }

    /// A claim was not used.
    pub(super) fn given_back(&mut self, id: Id, number: u32) {
        self.push(&Entry::GivenBack { id, number });
    }

    /// An attempt ended.
    pub(super) fn settled(&mut self, id: Id, number: u32, status: Status) {
        self.push(&Entry::Settled { id, number, status });
    }

    /// A notification that cannot be read is dead, without an attempt.
    pub(super) fn set_aside(&mut self, id: Id) {
        self.push(&Entry::Settled { id, number: 0, status: Status::Dead });
    }

    /// Something was done to one that waited, or time did it.
    pub(super) fn steered(&mut self, id: Id, kind: EventKind) {
        self.push(&Entry::Steered { id, kind });
    }

    /// Something was added to what is known of it; nobody who watches is told.
    pub(super) fn noted(&mut self, id: Id) {
        self.push(&Entry::Noted { id });
    }

    /// The same of very many, none of which is named.
    pub(super) fn many_noted(&mut self) {
        self.noted(entry::MANY);
    }

    /// Something happened to a whole channel.
    pub(super) fn channel(&mut self, channel: &str, kind: EventKind, reason: Option<Reason>, detail: &str) {
        let end = (0..=DETAIL).rev().find(|end| detail.is_char_boundary(*end)).unwrap_or_default();
        let detail = detail[..end].to_owned();
        self.push(&Entry::Channel { channel: channel.to_owned(), kind, reason, detail });
    }

    fn push(&mut self, entry: &Entry) {
        self.row.push(entry);
        if self.row.count == ROW {
            self.full.push(std::mem::take(&mut self.row));
        }
    }

    /// Writes what there is to tell in the transaction that is open; nothing when there is nothing.
    pub(super) fn write(&self, connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        for row in self.full.iter().chain([&self.row]).filter(|row| row.count > 0) {
            connection.prepare_cached(sql!("event_tell"))?.execute(params![row.count, now, row.bytes])?;
            let (last, count) = (connection.last_insert_rowid(), i64::from(row.count));
            if last / BITE != (last - count) / BITE {
                connection.prepare_cached(sql!("events_forget"))?.execute([last - KEPT])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cursor, EventFilter};
    use crate::store::sqlite::Sqlite;
    use crate::store::{Access, Reader};

    const T: Timestamp = Timestamp(1_800_000_000_000);

    fn store(folder: &tempfile::TempDir) -> Sqlite {
        let patience = std::time::Duration::from_secs(5);
        Sqlite::open(&folder.path().join("n.db"), patience, Access::Create, T).unwrap()
    }

    fn tell(store: &Sqlite, rows: i64, of: u32) {
        store
            .write("tell", |connection| {
                for _ in 0..rows {
                    let mut told = Told::default();
                    (0..of).for_each(|_| told.channel("c", EventKind::Alert, None, ""));
                    told.write(connection, T)?;
                }
                Ok(())
            })
            .unwrap();
    }

    fn rows(store: &Sqlite) -> (i64, i64) {
        let sizes = "SELECT count(*), sum(count) FROM events";
        store
            .read(|connection| connection.query_row(sizes, [], |row| Ok((row.get(0)?, row.get(1)?))))
            .unwrap()
    }

    #[test]
    fn the_ring_stays_bounded_and_who_fell_out_of_it_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        tell(&store, 10, 1);
        let ask = |after, limit| store.events(after, &EventFilter::default(), limit).unwrap();
        assert_eq!(ask(Cursor::default(), 100).events.len(), 10);
        tell(&store, KEPT / 100 + 2 * BITE / 100, 100);
        let (_, kept) = rows(&store);
        assert!((KEPT..=KEPT + BITE + 100).contains(&kept), "{kept}");
        for told in [0, 5, 10] {
            let told = ask(Cursor { enqueued: 0, told }, 1);
            assert!(told.gap.is_some() && told.more && told.events.len() == 1, "{told:?}");
            // From there on all of it.
            let next = ask(told.next, 1_000_000);
            assert!(next.gap.is_none() && !next.more);
            assert_eq!(next.events.len() as i64, kept - 1);
        }
    }

    #[test]
    fn a_transaction_of_very_many_is_rows_of_bounded_length() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        tell(&store, 1, 2 * ROW + 1);
        assert_eq!(rows(&store), (3, i64::from(2 * ROW + 1)));
        let told = store.events(Cursor::default(), &EventFilter::default(), 10_000).unwrap();
        assert_eq!(told.events.len(), 2 * ROW as usize + 1);
    }

    #[test]
    fn a_row_that_somebody_has_spoilt_is_a_gap_where_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        tell(&store, 3, 2);
        let spoil = "UPDATE events SET entries = x'ff' WHERE id = 4";
        store.write("spoil", |connection| connection.execute(spoil, [])).unwrap();
        let first = store.events(Cursor::default(), &EventFilter::default(), 100).unwrap();
        assert!(first.gap.is_none() && first.more && first.events.len() == 2, "{first:?}");
        let second = store.events(first.next, &EventFilter::default(), 100).unwrap();
        assert!(second.gap.is_some() && !second.more && second.events.len() == 2, "{second:?}");
    }
}
