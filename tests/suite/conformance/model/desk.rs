//! What is done without being a worker: enqueueing, steering, purging.

use std::time::Duration;

use notifyctl::model::{Id, NewNotification, Status, Timestamp};
use notifyctl::store::{
    Enqueued, Filter, NewBatch, Next, Order, Page, Portion, Purge, Purged, RequestKey, Selection, Summary,
};

use super::machine::{Machine, said};
use super::row::Row;
use super::step::{CHANNELS, New, Verb, Which};
use super::{Agreed, agree};
use crate::conformance::T;
use crate::support::hand::plain;

/// A key, if there is one, and the recipient for whom it guards.
type Guard = (Option<String>, String);

/// How long a key guards.
const KEY_WINDOW: Duration = Duration::from_secs(400);

impl Machine<'_> {
    pub(super) fn enqueue(&mut self, new: &[New]) -> Agreed {
        let now = self.model.now;
        let new: Vec<NewNotification> = new.iter().map(|new| self.whole(new)).collect();
        let answers = said(self.desk.enqueue(now, now.plus(KEY_WINDOW), &new))?;
        self.tell(format!("enqueued {}", told(&new, &answers)));
        agree("answers", &answers.len(), &new.len())?;
        for (new, answer) in new.iter().zip(answers) {
            self.model.enqueue(None, now.plus(KEY_WINDOW), new, answer)?;
        }
        Ok(())
    }

    /// A request over HTTP. The keys of its rows are never used for something else: who does that is refused, which is another
    /// story. That of the whole may be.
    pub(super) fn portion(&self, request: Option<usize>, new: &[New]) -> Portion {
        // Few kinds, so that the same is asked for again.
        let mut sha256 = [new.len() as u8; 32];
        sha256.iter_mut().zip(new).for_each(|(byte, new)| *byte = new.recipient as u8);
        let request = request.map(|key| RequestKey { key: format!("q{key}"), sha256 });
        let one = |(number, new): (usize, &New)| {
            let mut one = self.whole(new);
            one.idempotency_key = match &request {
                Some(request) => Some(request.of_row(number)),
                None => one.idempotency_key.map(|key| format!("{key} {} {}", one.channel, one.priority)),
            };
            one
        };
        let key_expires_at = self.model.now.plus(KEY_WINDOW);
        Portion { new: (1..).zip(new).map(one).collect(), key_expires_at, batch: None, request }
    }

    fn whole(&self, new: &New) -> NewNotification {
        let from_now = |seconds| self.model.now.plus(Duration::from_secs(seconds));
        NewNotification {
            priority: new.priority,
            not_before: new.wait.map(from_now),
            expires_at: new.ttl.map(from_now),
            idempotency_key: new.key.map(|key| format!("k{key}")),
            ..plain(CHANNELS[new.channel], &format!("r{}", new.recipient))
        }
    }

    pub(super) fn batch(&mut self, rows: &[New], commit: bool) -> Agreed {
        let now = self.model.now;
        let new: Vec<NewNotification> = rows.iter().map(|new| self.whole(new)).collect();
        let batch = NewBatch { source: "x.csv".into(), key_expires_at: now.plus(KEY_WINDOW) };
        let mut left = new.iter();
        let mut source = || match left.next() {
            Some(row) => Next::Row(Box::new(row.clone())),
            None if commit => Next::Commit,
            None => Next::RollBack,
        };
        let receipt = said(self.desk.enqueue_batch(now, &batch, &mut source))?;
        self.tell(format!("a batch of {} rows, committed: {commit}: {receipt:?}", rows.len()));
        agree("a batch was accepted", &receipt.is_some(), &(commit && !rows.is_empty()))?;
        let Some(receipt) = receipt else { return Ok(()) };
        self.model.load(receipt.id, &batch);
        let ids = self.ids_of(receipt.id)?;
        let mut ids = ids.into_iter().peekable();
        let mut known = 0;
        for new in &new {
            let guard = (new.idempotency_key.clone(), new.content.recipient.clone());
            let created = guard.0.is_none() || ids.peek().is_some_and(|(_, of)| *of == guard);
            let id = if created { ids.next().map_or(0, |(id, _)| id) } else { self.model.known(new) };
            known += u64::from(!created);
            self.model.enqueue(Some(receipt.id), now.plus(KEY_WINDOW), new, Enqueued { id, created })?;
        }
        agree("left over", &ids.next(), &None)?;
        agree("known", &(receipt.created, receipt.known), &(new.len() as u64 - known, known))
    }

    /// The rows of a batch, each with its key and its recipient.
    fn ids_of(&self, batch: Id) -> Result<Vec<(Id, Guard)>, String> {
        let filter = Filter { batch_id: Some(batch), ..Filter::default() };
        let page = Page { order: Order::OldestFirst, after: None, limit: Page::LIMIT };
        let mut ids = Vec::new();
        for Summary { id, recipient, .. } in said(self.desk.list(&filter, &page))? {
            let key = said(self.desk.get(id))?.and_then(|one| one.idempotency_key);
            ids.push((id, (key, recipient)));
        }
        Ok(ids)
    }

    pub(super) fn steer(&mut self, verb: Verb, which: &Which) -> Agreed {
        let now = self.model.now;
        let selection = self.selection(which);
        let desk = &mut self.desk;
        let (changed, from, change): (_, &[Status], fn(&mut Row, _)) = match verb {
            Verb::Cancel => (desk.cancel(now, &selection), &[Status::Pending, Status::Held], Row::cancel),
            Verb::Hold => (desk.hold(now, &selection), &[Status::Pending], Row::hold),
            Verb::Release => (desk.release(now, &selection), &[Status::Held], Row::release),
            Verb::Requeue => (
                desk.requeue(now, &selection),
                &[Status::Dead, Status::Expired, Status::Cancelled],
                Row::requeue,
            ),
        };
        let changed = said(changed)?;
        self.tell(format!("{verb:?} {selection:?}: {changed:?}"));
        agree("changed", &changed, &self.model.steer((from, &selection), change))
    }

    fn selection(&self, which: &Which) -> Selection {
        match which {
            Which::Ids(places) => {
                let after_last = self.model.ids.last().map_or(1, |last| last + 1);
                let id = |place: &usize| self.model.ids.get(*place).copied().unwrap_or(after_last);
                Selection::Ids(places.iter().map(id).collect())
            }
            Which::Matching { statuses, channel, batch, limit } => {
                let batch_id = batch.map(|place| self.model.batches.keys().nth(place).copied().unwrap_or(99));
                let channel = channel.map(|channel| CHANNELS[channel].to_owned());
                let filter = Filter { statuses: statuses.clone(), channel, batch_id, ..Filter::default() };
                Selection::Matching { filter, limit: *limit }
            }
        }
    }

    pub(super) fn purge(&mut self, statuses: &[Status], age: u64, limit: usize) -> Agreed {
        let settled_before = self.model.now.minus(Duration::from_secs(age));
        let mut purge =
            Purge { statuses: statuses.to_vec(), settled_before, now: self.model.now, from: 0, limit };
        loop {
            // How long it took is nobody's promise.
            let purged = Purged { took: Duration::ZERO, ..said(self.desk.purge(&purge))? };
            let from = purge.from;
            self.tell(format!("purge of {statuses:?} older than {age} s from {from} on: {purged:?}"));
            agree("purged", &purged, &self.model.purge(&purge))?;
            match purged.next {
                Some(next) => purge.from = next,
                None => return Ok(()),
            }
        }
    }
}

pub(super) fn told(new: &[NewNotification], answers: &[Enqueued]) -> String {
    let one = |(new, answer): (&NewNotification, &Enqueued)| {
        let when = |name: &str, at: Option<Timestamp>| {
            at.map_or(String::new(), |at| format!(" {name} {} s", at.since(T).as_secs()))
        };
        let key = new.idempotency_key.as_ref().map_or(String::new(), |key| format!(" key {key}"));
        let (to, known) = (&new.content.recipient, if answer.created { "" } else { " (known)" });
        let times = when("not before", new.not_before) + &when("expires at", new.expires_at);
        format!("{}{known}: {} {} {to}{key}{times}", answer.id, new.channel, new.priority)
    };
    new.iter().zip(answers).map(one).collect::<Vec<_>>().join(", ")
}
