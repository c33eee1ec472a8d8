//! The places of a worker: one per attempt, from before its first byte until its result is committed.

use tokio::time::Instant;

use crate::model::Timestamp;
use crate::store::Claimed;

/// An attempt under way.
pub(super) struct Flight {
    /// The lane's number.
    pub(super) lane: usize,
    /// Without its content, which the attempt has.
    pub(super) claimed: Claimed,
    pub(super) started_at: Timestamp,
    pub(super) since: Instant,
    /// Announced behind another one: of the message itself nothing has been sent.
    pub(super) ahead: bool,
}

/// All places of a worker.
pub(super) struct Places {
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    under_way: usize,
}

impl Places {
    pub(super) fn new(places: usize) -> Self {
        Self {
            flights: std::iter::repeat_with(|| None).take(places).collect(),
            free: (0..places).rev().collect(),
            under_way: 0,
        }
    }

    /// How many attempts are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many places are free.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// A place that is free, if there is one; it stays free until it is occupied.
    pub(super) fn next_free(&self) -> Option<usize> {
        self.free.last().copied()
    }

    /// Puts an attempt at the place that [`Places::next_free`] named.
    pub(super) fn occupy(&mut self, flight: Flight) {
        let place = self.free.pop().expect("asked for a free place first");
        self.flights[place] = Some(flight);
        self.under_way += 1;
    }

    /// The attempt at `place` has ended; the place stays occupied.
    pub(super) fn end(&mut self, place: usize) -> Option<Flight> {
        let flight = self.flights[place].take()?;
        self.under_way -= 1;
        Some(flight)
    }

    /// The result of the attempt at `place` is committed, or will never be.
    pub(super) fn release(&mut self, place: usize) {
        self.free.push(place);
    }

    /// The places of all attempts under way.
    pub(super) fn occupied(&self) -> impl Iterator<Item = (usize, &Flight)> {
        self.flights.iter().enumerate().filter_map(|(place, flight)| Some((place, flight.as_ref()?)))
    }

    /// The attempt at `place` is no longer behind another one.
    pub(super) fn comes_up(&mut self, place: usize) {
        if let Some(flight) = &mut self.flights[place] {
            flight.ahead = false;
        }
    }
}
