//! The conductor and the store: one call at a time, and what is done when one fails.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::care::{Chores, Found};
use super::conductor::{Conductor, Phase};
use super::round::Round;
use super::trouble::{Severity, Trouble};
use super::{Error, LOG_TARGET, Until};
use crate::store::{self, Exchanged, Stopped};

/// What a call to the store answers, with what it was about.
pub(super) enum Answer {
    Exchange(Box<Round>, store::Result<Exchanged>),
    Chores(Chores, store::Result<Found>),
}

/// A call to the store that is under way.
pub(super) type Call = Pin<Box<dyn Future<Output = Result<Answer, Stopped>> + Send>>;

/// Waits for the call that is under way.
pub(super) async fn answered(call: &mut Option<Call>) -> Result<Answer, Stopped> {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

impl Conductor {
    /// Calls the store, which is free, when something waits.
    pub(super) fn call_store(&mut self, now: Instant) -> Option<Call> {
        if self.trouble.as_ref().is_some_and(|trouble| trouble.retry_at > now) {
            return None;
        }
        // By turns, so that neither starves; what a store in trouble takes first are results.
        let chores = match self.outbox.is_empty() || !self.chores_last && self.trouble.is_none() {
            true => self.care.chores(self.worker.id(), now, !self.is_draining()),
            false => None,
        };
        self.chores_last = chores.is_some();
        let store = self.store.clone();
        if let Some(chores) = chores {
            let clock = Arc::clone(&self.clock);
            return Some(Box::pin(async move {
                let call = store.call(move |store| {
                    let found = chores.perform(store, &clock);
                    Answer::Chores(chores, found)
                });
                call.await
            }));
        }
        let mut round = Box::new(self.load(now)?);
        Some(Box::pin(async move {
            let (exchange, exchanged) = store.exchange(std::mem::take(&mut round.exchange)).await?;
            round.exchange = exchange;
            Ok(Answer::Exchange(round, exchanged))
        }))
    }

    /// The store has answered.
    pub(super) fn heed(&mut self, answer: Answer) -> Result<(), Error> {
        self.calling = false;
        let now = Instant::now();
        match answer {
            Answer::Exchange(round, Ok(exchanged)) => {
                self.recovered();
                self.committed(*round, exchanged, now);
            }
            Answer::Exchange(round, Err(error)) => {
                let in_part = round.exchange.outstanding > 0;
                self.not_committed(*round);
                return self.bear(error, in_part, now);
            }
            Answer::Chores(chores, Ok(found)) => {
                // Most of them write nothing, which shows no room.
                if self.trouble.as_ref().is_some_and(|trouble| trouble.may_claim) {
                    self.recovered();
                }
                self.care.done(&chores, &found, now);
                // From here on the store says so.
                chores.switched_off().for_each(|channel| self.start_lane(channel));
                self.found(found, now);
            }
            Answer::Chores(chores, Err(error)) => {
                self.care.failed(chores);
                let results_came = !self.outbox.settle.is_empty();
                return self.bear(error, results_came, now);
            }
        }
        Ok(())
    }

    /// Bears a call that failed for a while: what was delivered must not be sent again because its
    /// result could not be written at once. `more_follows` tells that it was no call for the last results.
    fn bear(&mut self, error: store::Error, more_follows: bool, now: Instant) -> Result<(), Error> {
        let severity = Severity::of(&error);
        let under_way = self.places.under_way() > 0;
        let at_stake = !self.outbox.settle.is_empty() || under_way;
        let daemon = self.until == Until::Shutdown && !self.is_draining();
        let trouble = Trouble::after(self.trouble.take(), severity, now);
        let patient = daemon || now - trouble.since < self.stop.patience;
        let borne = match severity {
            Severity::Busy => patient,
            // The room that was set aside is for the results of all of them, and only a call for the last ones takes it.
            Severity::Grave => under_way || more_follows || patient && (at_stake || daemon),
            Severity::Damage => now - trouble.since < self.stop.patience && at_stake,
            Severity::Final => false,
        };
        if !borne || self.phase == Phase::Abandoned {
            return Err(Error::Store(error));
        }
        if trouble.since == now {
            log::warn!(target: LOG_TARGET, results = self.outbox.settle.len(); "store: {error}; tried again");
        }
        if !trouble.may_claim {
            // When it writes again, what begins must be claimed anew, with room for its result.
            self.give_back_ready();
        }
        self.trouble = Some(trouble);
        Ok(())
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            log::info!(target: LOG_TARGET, "store: writes again");
        }
    }
}
