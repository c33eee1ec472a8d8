//! Reads of the same that are under way in this process: the first one reads, the others wait for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Answer, Key};

/// What a read left for those who wait; nothing while it is under way, and nothing ever when it failed.
type Result = Option<Option<Answer>>;

/// The reads that are under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Key, Flight>>);

struct Flight {
    begun: Instant,
    result: watch::Receiver<Result>,
}

/// The part that a read takes.
pub(super) enum Part<'a> {
    /// It reads.
    First(Landing<'a>),
    /// Another one does, since this moment.
    Other(Instant, watch::Receiver<Result>),
}

/// Ends a flight, whatever becomes of it.
pub(super) struct Landing<'a> {
    flights: &'a Flights,
    key: Key,
    result: watch::Sender<Result>,
}

impl Flights {
    /// Joins the flight for `key`, unless it began before `not_before`; else begins one.
    pub(super) fn join(&self, key: Key, not_before: Instant) -> Part<'_> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key).filter(|flight| flight.begun >= not_before) {
            return Part::Other(flight.begun, flight.result.clone());
        }
        let (result, receiver) = watch::channel(None);
        flights.insert(key, Flight { begun: Instant::now(), result: receiver });
        Part::First(Landing { flights: self, key, result })
    }
}

impl Landing<'_> {
    /// Tells those who wait.
    pub(super) fn tell(&self, answer: Option<Answer>) {
        self.result.send_replace(Some(answer));
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A younger flight may have taken the place.
        if flights.get(&self.key).is_some_and(|flight| flight.result.same_channel(&self.result.subscribe())) {
            flights.remove(&self.key);
        }
    }
}
