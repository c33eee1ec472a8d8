//! A store whose writes fail for a while, around a real one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notifyctl::model::{Cursor, EventFilter, Id, Mark, NewNotification, Timestamp, Touched};
use notifyctl::store::{
    Admin, Attempt, Batch, BatchReceipt, Changed, ChannelState, Counts, Due, Enqueued, Error, ErrorKind,
    Events, Exchange, Exchanged, Filter, Finding, Identity, LiveWorker, NewBatch, NewToken, Next,
    Notification, Orphan, Page, PassRecord, Portion, Purge, Purged, Reader, RequestKey, Result, Selection,
    Space, Store, Summary, TableStats, Taken, Token, Tokens, Turn, User, Worker, Writer,
};

/// Says of each exchange whether it fails, and how.
pub type Script = Box<dyn FnMut(&Exchange) -> Option<ErrorKind> + Send>;

/// A store whose exchanges fail when the script says so; all else is the real one's.
pub struct Failing {
    pub store: Box<dyn Store>,
    pub fails: Script,
    /// Says of each time that leases are extended whether it fails, and how.
    pub extends: Box<dyn FnMut() -> Option<ErrorKind> + Send>,
    /// How many exchanges have failed.
    pub failures: Arc<AtomicUsize>,
    /// Is told of each exchange that is committed, before the engine is.
    pub committed: Box<dyn FnMut(&Exchange) + Send>,
}

impl Failing {
    /// Around `store`.
    pub fn new(
        store: Box<dyn Store>,
        fails: impl FnMut(&Exchange) -> Option<ErrorKind> + Send + 'static,
    ) -> Self {
        let (extends, committed) = (Box::new(|| None), Box::new(|_: &Exchange| {}));
        Self { store, fails: Box::new(fails), extends, failures: Arc::default(), committed }
    }
}

fn on_purpose(doing: &'static str, kind: ErrorKind) -> Error {
    Error { doing, path: "n.db".into(), what: format!("on purpose: {kind:?}"), kind }
}

impl Writer for Failing {
    fn exchange(&mut self, exchange: &Exchange) -> Result<Exchanged> {
        match (self.fails)(exchange) {
            None => {
                let answer = self.store.exchange(exchange);
                (self.committed)(exchange);
                answer
            }
            Some(kind) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(on_purpose("write results to", kind))
            }
        }
    }

    fn enqueue(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        new: &[NewNotification],
    ) -> Result<Vec<Enqueued>> {
        self.store.enqueue(now, until, new)
    }

    fn enqueue_portions(&mut self, now: Timestamp, portions: &[Portion]) -> Result<Vec<Taken>> {
        self.store.enqueue_portions(now, portions)
    }

    fn enqueue_and_exchange(
        &mut self,
        now: Timestamp,
        portions: &[Portion],
        exchange: &Exchange,
    ) -> Result<(Vec<Taken>, Exchanged)> {
        self.store.enqueue_and_exchange(now, portions, exchange)
    }

    fn enqueue_batch(
        &mut self,
        now: Timestamp,
        batch: &NewBatch,
        rows: &mut dyn FnMut() -> Next,
    ) -> Result<Option<BatchReceipt>> {
        self.store.enqueue_batch(now, batch, rows)
    }

    fn register(&mut self, now: Timestamp, name: &str) -> Result<Box<dyn Worker>> {
        self.store.register(now, name)
    }

    fn orphans(&mut self, me: Id, lease: Duration, limit: usize) -> Result<Vec<Orphan>> {
        self.store.orphans(me, lease, limit)
    }

    fn extend(&mut self, worker: Id, until: Timestamp) -> Result<()> {
        match (self.extends)() {
            None => self.store.extend(worker, until),
            Some(kind) => Err(on_purpose("extend leases in", kind)),
        }
    }

    fn expire(&mut self, now: Timestamp, limit: usize) -> Result<usize> {
        self.store.expire(now, limit)
    }

    fn prove(&mut self) -> Result<()> {
        self.store.prove()
    }

    fn cancel(&mut self, now: Timestamp, which: &Selection) -> Result<Changed> {
        self.store.cancel(now, which)
    }

    fn hold(&mut self, now: Timestamp, which: &Selection) -> Result<Changed> {
        self.store.hold(now, which)
    }

    fn release(&mut self, now: Timestamp, which: &Selection) -> Result<Changed> {
        self.store.release(now, which)
    }

    fn requeue(&mut self, now: Timestamp, which: &Selection) -> Result<Changed> {
        self.store.requeue(now, which)
    }

    fn purge(&mut self, purge: &Purge) -> Result<Purged> {
        self.store.purge(purge)
    }

    fn hold_channel(&mut self, now: Timestamp, channel: &str, reason: &str) -> Result<()> {
        self.store.hold_channel(now, channel, reason)
    }

    fn release_channel(&mut self, now: Timestamp, channel: &str) -> Result<bool> {
        self.store.release_channel(now, channel)
    }

    fn record_pass(&mut self, pass: &PassRecord) -> Result<()> {
        self.store.record_pass(pass)
    }

    fn set_user(&mut self, user: &User) -> Result<()> {
        self.store.set_user(user)
    }

    fn take_turn(&mut self) -> Result<Option<Box<dyn Turn>>> {
        self.store.take_turn()
    }

    fn leave(self: Box<Self>) {
        self.store.leave();
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.store.checkpoint()
    }
}

impl Reader for Failing {
    fn workers(&self) -> Result<Vec<LiveWorker>> {
        self.store.workers()
    }

    fn space(&self) -> Result<Space> {
        self.store.space()
    }

    fn identity(&self) -> Result<Identity> {
        self.store.identity()
    }

    fn get(&self, id: Id) -> Result<Option<Notification>> {
        self.store.get(id)
    }

    fn attempts(&self, id: Id) -> Result<Vec<Attempt>> {
        self.store.attempts(id)
    }

    fn history(&self, id: Id) -> Result<Option<(Notification, Vec<Attempt>)>> {
        self.store.history(id)
    }

    fn list(&self, filter: &Filter, page: &Page) -> Result<Vec<Summary>> {
        self.store.list(filter, page)
    }

    fn counts(&self) -> Result<Counts> {
        self.store.counts()
    }

    fn due(&self, now: Timestamp) -> Result<Vec<Due>> {
        self.store.due(now)
    }

    fn batch(&self, id: Id) -> Result<Option<Batch>> {
        self.store.batch(id)
    }

    fn channels(&self, now: Timestamp) -> Result<Vec<ChannelState>> {
        self.store.channels(now)
    }

    fn last_pass(&self) -> Result<Option<PassRecord>> {
        self.store.last_pass()
    }

    fn version(&self) -> Result<u64> {
        self.store.version()
    }

    fn mark(&self) -> Result<Mark> {
        self.store.mark()
    }

    fn touched(&self, after: u64, limit: usize) -> Result<Touched> {
        self.store.touched(after, limit)
    }

    fn events(&self, after: Cursor, filter: &EventFilter, limit: usize) -> Result<Events> {
        self.store.events(after, filter, limit)
    }

    fn cursor(&self, since: Option<Timestamp>) -> Result<Cursor> {
        self.store.cursor(since)
    }

    fn request(&self, now: Timestamp, request: &RequestKey) -> Result<Option<Taken>> {
        self.store.request(now, request)
    }

    fn user(&self, id: &str) -> Result<Option<User>> {
        self.store.user(id)
    }
}

impl Admin for Failing {
    fn check(&self) -> Result<Vec<Finding>> {
        self.store.check()
    }

    fn recount(&mut self) -> Result<()> {
        self.store.recount()
    }

    fn stats(&self) -> Result<Vec<TableStats>> {
        self.store.stats()
    }

    fn backup(&self, to: &Path) -> Result<()> {
        self.store.backup(to)
    }
}

impl Tokens for Failing {
    fn create_token(&mut self, new: &NewToken) -> Result<Id> {
        self.store.create_token(new)
    }

    fn token(&self, id: Id) -> Result<Option<Token>> {
        self.store.token(id)
    }

    fn tokens(&self) -> Result<Vec<Token>> {
        self.store.tokens()
    }

    fn revoke_token(&mut self, now: Timestamp, id: Id) -> Result<bool> {
        self.store.revoke_token(now, id)
    }

    fn token_used(&mut self, now: Timestamp, id: Id) -> Result<()> {
        self.store.token_used(now, id)
    }
}
