//! The bytes of a request, with a note of how many of them have been taken to be written.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// How many bytes are given away at once; so few that a peer which stops reading early is told from one
/// that read all.
const CHUNK: usize = 16 * 1024;

/// How far a request has come. What was given away may or may not have been written: only what was not
/// given away is certain not to have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is no connection yet.
    Nothing,
    /// Not all of it can have arrived.
    Part,
    /// All of it may have arrived.
    Whole,
}

/// Shared between a body and whoever waits for the answer.
#[derive(Clone, Default)]
pub struct Tracker(Arc<AtomicU8>);

impl Tracker {
    /// How far the request has come.
    pub fn progress(&self) -> Progress {
        match self.0.load(Ordering::Relaxed) {
            0 => Progress::Nothing,
            1 => Progress::Part,
            _ => Progress::Whole,
        }
    }

    fn note(&self, progress: Progress) {
        self.0.store(progress as u8, Ordering::Relaxed);
    }
}

/// A body that notes how far it has come.
pub struct Tracked {
    rest: Bytes,
    tracker: Tracker,
}

impl Tracked {
    /// `bytes`, noted in `tracker`. Nobody asks for the bytes of an empty body: it counts as whole at once.
    pub fn new(bytes: Bytes, tracker: Tracker) -> Self {
        tracker.note(if bytes.is_empty() { Progress::Whole } else { Progress::Nothing });
        Self { rest: bytes, tracker }
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(CHUNK);
        let chunk = self.rest.split_to(length);
        self.tracker.note(if self.rest.is_empty() { Progress::Whole } else { Progress::Part });
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
