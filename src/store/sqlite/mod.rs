//! The store in one SQLite file.
//!
//! Locking: WAL; every write is one immediate transaction of this connection, never across network I/O;
//! whoever waits for another writer waits with jitter, up to the busy timeout.
//! Compatibility: see `migrate`.
//! Performance: only live rows are indexed, counts are kept, and the log is moved into the file in short steps.

mod admin;
mod begin;
mod claim;
mod content;
mod counters;
mod enqueue;
mod events;
mod exchange;
mod failure;
mod filter;
mod harm;
mod keys;
mod limit;
mod line;
mod live;
mod loading;
mod migrate;
mod open;
mod orphans;
mod owner;
mod place;
mod purge;
mod read;
mod reserve;
mod room;
mod set_back;
mod sql;
mod steer;
mod tokens;
mod trouble;
mod turn;
mod values;
mod wal;
mod watch;
mod windows;
mod worker;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, params};

use self::failure::{failure, io_failure};
use self::room::Room;
use self::sql::sql;
use super::{
    Access, Attempt, Batch, BatchReceipt, Changed, ChannelState, Counts, Due, Enqueued, Error, ErrorKind,
    Events, Exchange, Exchanged, Filter, Identity, LiveWorker, NewBatch, Next, Notification, Orphan, Page,
    PassRecord, Portion, Purge, Purged, Reader, RequestKey, Result, Selection, Space, Summary, Taken, Turn,
    User, Worker, Writer,
};
use crate::model::{Cursor, EventFilter, EventKind, Id, Mark, NewNotification, Timestamp, Touched};

pub use watch::Watch;

/// Where the store logs what it had to put right.
const LOG_TARGET: &str = "notifyctl::store";

/// A store in a SQLite file.
pub struct Sqlite {
    connection: Connection,
    path: PathBuf,
    place: place::Place,
    busy_timeout: Duration,
    line: line::Line,
    limit: limit::Limit,
    /// The names of the workers that this process announced, for the attempts they make.
    workers: Vec<(Id, String)>,
    /// For the results of what they have in hand.
    room: Room,
    /// What writes that failed have left behind.
    harm: harm::Harm,
}

impl Sqlite {
    /// Opens the store at `path`.
    ///
    /// # Errors
    /// As [`super::open`].
    pub fn open(path: &Path, busy_timeout: Duration, access: Access, now: Timestamp) -> Result<Self> {
        let path = open::behind_links(path);
        let open = || open::open(&path, busy_timeout, access, now);
        let connection = match open() {
            // Who looks at the store, or steers it; not who brings new work.
            Err(full)
                if full.kind == ErrorKind::Full && access != Access::Create && reserve::spend(&path) =>
            {
                let opened = open();
                let _ = reserve::keep_the_rest(&path);
                opened?
            }
            opened => opened?,
        };
        Ok(Self {
            connection,
            place: place::Place::of(&path),
            line: line::Line::before(&path),
            path,
            busy_timeout,
            limit: limit::Limit::default(),
            workers: Vec::new(),
            room: Room::default(),
            harm: harm::Harm::default(),
        })
    }

    /// Runs `work` as one immediate transaction. `doing` is for the error.
    fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let run = || {
            let transaction = self.begin()?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        run().map_err(|error| self.failed(doing, &error))
    }

    /// The same for what must find room: on a full disk the log is moved into the database file, so that it may be
    /// begun anew; at last `room` is spent, if there is any for it.
    fn write_hard<T>(
        &self,
        doing: &'static str,
        work: impl Fn(&Connection) -> rusqlite::Result<T>,
        room: Option<&Room>,
    ) -> Result<T> {
        let full = |written: &Result<T>| written.as_ref().is_err_and(|error| error.kind == ErrorKind::Full);
        let mut written = self.write(doing, &work);
        if full(&written) {
            // What does not help does no harm.
            let _ = self.read(wal::checkpoint);
            written = self.write(doing, &work);
        }
        match room {
            Some(room) if full(&written) => self.write(doing, |connection| {
                room.spend(&wal::path(&self.path));
                work(connection)
            }),
            _ => written,
        }
    }

    /// Notes what a write that failed may have left behind.
    fn failed(&self, doing: &'static str, error: &rusqlite::Error) -> Error {
        let failure = failure(doing, &self.path, error);
        self.harm.note(failure.kind);
        failure
    }

    /// Whether, closed as the last one, it takes the log away.
    fn moves_its_log(&self) -> bool {
        !self.place.is_moved(&self.path) && (self.harm.may_be_torn() || wal::is_long(&self.path))
    }

    /// Begins the log anew if it is too long: for who commits hundreds of times.
    fn hold_limit(&mut self) {
        self.limit.hold(&mut self.connection, &self.path, &self.line, self.busy_timeout);
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.connection).map_err(|error| failure("read database", &self.path, &error))
    }

    fn worker_name(&self, id: Id) -> Option<&str> {
        self.workers.iter().find(|(known, _)| *known == id).map(|(_, name)| name.as_str())
    }

    fn steer(
        &self,
        doing: &'static str,
        verb: &steer::Verb,
        now: Timestamp,
        which: &Selection,
    ) -> Result<Changed> {
        self.write_for_operator(doing, |connection| steer::steer(connection, verb, now, which))
    }
}

impl Reader for Sqlite {
    fn identity(&self) -> Result<Identity> {
        self.read(read::identity)
    }

    fn get(&self, id: Id) -> Result<Option<Notification>> {
        self.read(|connection| read::get(connection, id))
    }

    fn attempts(&self, id: Id) -> Result<Vec<Attempt>> {
        self.read(|connection| read::attempts(connection, id))
    }

    fn history(&self, id: Id) -> Result<Option<(Notification, Vec<Attempt>)>> {
        self.read(|connection| read::history(connection, id))
    }

    fn list(&self, filter: &Filter, page: &Page) -> Result<Vec<Summary>> {
        self.read(|connection| read::list(connection, filter, page))
    }

    fn counts(&self) -> Result<Counts> {
        self.read(read::counts)
    }

    fn due(&self, now: Timestamp) -> Result<Vec<Due>> {
        self.read(|connection| read::due(connection, now))
    }

    fn batch(&self, id: Id) -> Result<Option<Batch>> {
        self.read(|connection| read::batch(connection, id))
    }

    fn channels(&self, now: Timestamp) -> Result<Vec<ChannelState>> {
        self.read(|connection| read::channels(connection, now))
    }

    fn last_pass(&self) -> Result<Option<PassRecord>> {
        self.read(read::last_pass)
    }

    fn workers(&self) -> Result<Vec<LiveWorker>> {
        live::workers(&self.path).map_err(|error| io_failure("look for workers beside", &self.path, &error))
    }

    fn space(&self) -> Result<Space> {
        wal::space(&self.path).map_err(|error| io_failure("look for room at", &self.path, &error))
    }

    fn version(&self) -> Result<u64> {
        self.read_here(|connection| connection.query_row("PRAGMA data_version", [], |row| row.get(0)))
    }

    fn events(&self, after: Cursor, filter: &EventFilter, limit: usize) -> Result<Events> {
        self.read(|connection| events::events(connection, after, filter, limit))
    }

    fn cursor(&self, since: Option<Timestamp>) -> Result<Cursor> {
        self.read(|connection| events::cursor(connection, since))
    }

    fn mark(&self) -> Result<Mark> {
        self.read_here(events::mark)
    }

    fn touched(&self, after: u64, limit: usize) -> Result<Touched> {
        self.read_here(|connection| events::touched(connection, after, limit))
    }

    fn request(&self, now: Timestamp, request: &RequestKey) -> Result<Option<Taken>> {
        self.read(|connection| keys::request(connection, now, request))
    }

    fn user(&self, id: &str) -> Result<Option<User>> {
        self.read(|connection| read::user(connection, id))
    }
}

impl Writer for Sqlite {
    fn enqueue(
        &mut self,
        now: Timestamp,
        key_expires_at: Timestamp,
        new: &[NewNotification],
    ) -> Result<Vec<Enqueued>> {
        let work = |connection: &Connection| enqueue::enqueue(connection, now, key_expires_at, new);
        self.write_hard("enqueue into", work, None)
    }

    fn enqueue_portions(&mut self, now: Timestamp, portions: &[Portion]) -> Result<Vec<Taken>> {
        let work = |connection: &Connection| enqueue::portions(connection, now, portions);
        let taken = self.write_hard("enqueue into", work, None);
        self.hold_limit();
        taken
    }

    fn enqueue_batch(
        &mut self,
        now: Timestamp,
        batch: &NewBatch,
        rows: &mut dyn FnMut() -> Next,
    ) -> Result<Option<BatchReceipt>> {
        let mut load = || {
            wal::settle_in_for_rows(&self.connection)?;
            let transaction = self.begin()?;
            // Without it others wait as long as they always do.
            let _told = loading::begin(&self.path).ok();
            match enqueue::load(&transaction, now, batch, rows)? {
                enqueue::Loaded::Whole(receipt) => transaction.commit().map(|()| Some(receipt)),
                enqueue::Loaded::Nothing => transaction.rollback().map(|()| None),
            }
        };
        load().map_err(|error| self.failed("enqueue a batch into", &error))
    }

    fn register(&mut self, now: Timestamp, name: &str) -> Result<Box<dyn Worker>> {
        let worker = worker::LocalWorker::new(&self.path, now, name)
            .and_then(|worker| line::make(&self.path).map(|()| worker))
            .map_err(|error| io_failure("announce a worker beside", &self.path, &error))?;
        // Without it a full disk is worse to put in order, and nothing else.
        let _ = reserve::keep(&self.path);
        self.read(|connection| wal::settle_in_for_work(connection, &self.path))?;
        self.workers.push((worker.id(), name.to_owned()));
        Ok(Box::new(worker))
    }

    fn exchange(&mut self, exchange: &Exchange) -> Result<Exchanged> {
        self.exchange_alone(exchange)
    }

    fn enqueue_and_exchange(
        &mut self,
        now: Timestamp,
        portions: &[Portion],
        exchange: &Exchange,
    ) -> Result<(Vec<Taken>, Exchanged)> {
        self.exchange_with(now, portions, exchange)
    }

    fn orphans(&mut self, me: Id, lease: Duration, limit: usize) -> Result<Vec<Orphan>> {
        let failed = |error: &std::io::Error| io_failure("look for workers beside", &self.path, error);
        // First the dead, then their work: none of them claims any more once it has been seen dead.
        let dead = worker::dead(&self.path).map_err(|error| failed(&error))?;
        let busy = self.read(|connection| orphans::busy_workers(connection, me))?;
        orphans::sweep(&dead, &busy);
        let lost = orphans::lost(&self.path, &busy, lease).map_err(|error| failed(&error))?;
        let mut found = Vec::new();
        for (worker, begun) in lost {
            let left = limit - found.len();
            found.extend(self.read(|connection| orphans::left_by(connection, worker, &begun, left))?);
        }
        Ok(found)
    }

    fn extend(&mut self, worker: Id, until: Timestamp) -> Result<()> {
        self.write("extend leases in", |connection| {
            connection.prepare_cached(sql!("extend"))?.execute(params![worker, until]).map(drop)
        })
    }

    fn expire(&mut self, now: Timestamp, limit: usize) -> Result<usize> {
        self.write("expire in", |connection| orphans::expire(connection, now, limit))
    }

    fn cancel(&mut self, now: Timestamp, which: &Selection) -> Result<Changed> {
        self.steer("cancel in", &steer::CANCEL, now, which)
    }

    fn hold(&mut self, now: Timestamp, which: &Selection) -> Result<Changed> {
        self.steer("hold in", &steer::HOLD, now, which)
    }

    fn release(&mut self, now: Timestamp, which: &Selection) -> Result<Changed> {
        self.steer("release in", &steer::RELEASE, now, which)
    }

    fn requeue(&mut self, now: Timestamp, which: &Selection) -> Result<Changed> {
        self.steer("requeue in", &steer::REQUEUE, now, which)
    }

    fn purge(&mut self, purge: &Purge) -> Result<Purged> {
        self.purge_as_fits(purge)
    }

    fn hold_channel(&mut self, now: Timestamp, channel: &str, reason: &str) -> Result<()> {
        self.write_for_operator("hold a channel in", |connection| {
            connection.prepare_cached(sql!("channel_create"))?.execute([channel])?;
            connection.prepare_cached(sql!("channel_hold"))?.execute(params![channel, now, reason])?;
            let mut told = events::Told::default();
            told.channel(channel, EventKind::Held, None, reason);
            told.write(connection, now)
        })
    }

    fn release_channel(&mut self, now: Timestamp, channel: &str) -> Result<bool> {
        self.write_for_operator("release a channel in", |connection| {
            let released = connection.prepare_cached(sql!("channel_release"))?.execute([channel])? > 0;
            let mut told = events::Told::default();
            if released {
                told.channel(channel, EventKind::Released, None, "");
            }
            told.write(connection, now).map(|()| released)
        })
    }

    fn record_pass(&mut self, pass: &PassRecord) -> Result<()> {
        let work = |connection: &Connection| {
            connection.prepare_cached(sql!("pass_record"))?.execute(params![
                pass.worker,
                pass.started_at,
                pass.ended_at,
                pass.sent,
                pass.deferred,
                pass.dead,
                pass.expired,
                pass.held
            ])?;
            connection.prepare_cached(sql!("passes_forget"))?.execute([PassRecord::KEPT as i64]).map(drop)
        };
        self.write_hard("record a pass in", work, Some(&self.room))
    }

    fn set_user(&mut self, user: &User) -> Result<()> {
        self.write("set a user in", |connection| {
            let values = params![user.id, user.name, user.recipient, user.updated_at];
            connection.prepare_cached(sql!("user_set"))?.execute(values).map(drop)
        })
    }

    fn take_turn(&mut self) -> Result<Option<Box<dyn Turn>>> {
        turn::take(&self.path)
    }

    fn leave(self: Box<Self>) {
        if !self.moves_its_log() {
            // What a closed connection leaves on disk is the same; it would only free page by page what the
            // end of the process frees at once.
            std::mem::forget(self);
        }
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.read_here(wal::checkpoint)
    }

    fn prove(&mut self) -> Result<()> {
        self.write("write to", |connection| self.harm.try_again(connection))?;
        self.harm.is_over();
        Ok(())
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        if self.moves_its_log() {
            wal::move_on_close(&self.connection);
        }
    }
}
