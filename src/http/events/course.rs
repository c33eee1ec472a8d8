//! What one watcher is told next: from the store until it has caught up, then what the feed hands to all.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast::error::RecvError;

use super::feed::Feed;
use super::most;
use super::registry::{Live, Piece, Told};
use crate::http::problem::Problem;
use crate::http::readers::Readers;
use crate::model::{Cursor, EventFilter};
use crate::wire::{Mark, Sight};

/// One line of what is told: where to go on after it, and its JSON.
pub(super) struct Line {
    pub(super) cursor: Cursor,
    pub(super) text: Utf8Bytes,
}

impl Line {
    fn mark(mark: &Mark, cursor: Cursor) -> Self {
        Self { cursor, text: serde_json::to_string(mark).unwrap_or_default().into() }
    }
}

/// Why there is nothing more to tell.
#[derive(Debug)]
pub(super) enum End {
    /// It came faster than it was taken.
    Slow,
    /// The store cannot be read, or all of it ends.
    Over,
}

/// How far one watcher is.
pub(super) struct Course {
    readers: Arc<Readers>,
    filter: EventFilter,
    sight: Sight,
    next: Cursor,
    /// What the feed hands on, which counts once the watcher has caught up.
    live: Live,
    caught_up: bool,
}

impl Course {
    /// Behind `after`, or from now on; with the first line, which says where that is.
    pub(super) async fn begin(
        readers: &Arc<Readers>,
        feed: &Feed,
        after: Option<Cursor>,
        filter: EventFilter,
        sight: Sight,
    ) -> Result<(Self, Line), Problem> {
        let next = match after {
            Some(after) => after,
            None => readers.call(|reader| reader.cursor(None)).await??,
        };
        let ready = Line::mark(&Mark::ready(next), next);
        let one = filter.ids.first().copied().filter(|_| filter.ids.len() == 1);
        let (readers, live) = (Arc::clone(readers), feed.watch(one));
        Ok((Self { readers, filter, sight, next, live, caught_up: false }, ready))
    }

    /// What comes next, at least one line. Nothing is lost when it is not waited for.
    pub(super) async fn next(&mut self) -> Result<Vec<Line>, End> {
        loop {
            let lines = match self.caught_up {
                false => self.catch_up().await?,
                true => match self.live.next().await {
                    Ok(piece) => self.take(&piece),
                    Err(RecvError::Lagged(_)) => return Err(End::Slow),
                    Err(RecvError::Closed) => return Err(End::Over),
                },
            };
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
    }

    /// Up to where all that is meant has been told.
    pub(super) fn reached(&self) -> Cursor {
        self.next
    }

    /// A piece from the store. What the feed hands on from here is kept: what is committed after the look comes from there.
    async fn catch_up(&mut self) -> Result<Vec<Line>, End> {
        self.live.skip();
        let (after, filter) = (self.next, self.filter.clone());
        let told = self.readers.search(move |reader| reader.events(after, &filter, most(&filter))).await;
        let told = told.map_err(|_| End::Over)?.map_err(|_| End::Over)?;
        let mut lines = Vec::with_capacity(told.events.len() + 1);
        if let Some(before) = told.gap {
            lines.push(Line::mark(&Mark::gap(before), before));
        }
        let line = |event| {
            let told = Told::new(event);
            Line { cursor: told.event.cursor, text: told.text(self.sight) }
        };
        lines.extend(told.events.into_iter().map(line));
        self.next = told.next;
        self.caught_up = !told.more;
        Ok(lines)
    }

    /// What of the feed's piece is new here, and meant.
    fn take(&mut self, piece: &Piece) -> Vec<Line> {
        let known = self.next;
        if piece.to == known || piece.to.is_before(known) {
            return Vec::new();
        }
        if piece.gap.is_some_and(|gap| known.is_before(gap)) {
            self.caught_up = false;
            return Vec::new();
        }
        self.next = piece.to;
        let new = piece.told.iter().filter(|told| known.is_before(told.event.cursor));
        let meant = new.filter(|told| self.filter.means(&told.event));
        meant.map(|told| Line { cursor: told.event.cursor, text: told.text(self.sight) }).collect()
    }
}
