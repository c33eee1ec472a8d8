//! One attempt: the envelope, the last limit of time, and a channel that panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use super::lane::Lane;
use crate::channel::{self, Envelope};
use crate::model::{Outcome, Reason, Verdict};
use crate::store::{Claimed, Identity};

/// How long after its own limit a channel is still waited for. It keeps its limits itself; this is the last resort.
const GRACE: Duration = Duration::from_secs(5);

/// What came of the attempt that occupies a place.
pub(super) struct Ended {
    pub(super) place: usize,
    pub(super) verdict: Verdict,
}

/// Moves what is to be told out of `claimed`.
pub(super) fn envelope(claimed: &mut Claimed, identity: &Identity) -> Envelope {
    Envelope {
        id: claimed.id,
        stable_id: channel::stable_id(&identity.store_id, claimed.id),
        message_domain: identity.message_domain.clone(),
        channel: claimed.channel.clone(),
        attempt: claimed.attempt,
        created_at: claimed.created_at,
        user_id: claimed.user_id.take(),
        priority: claimed.priority,
        content: std::mem::take(&mut claimed.content),
    }
}

/// Tries once; always ends, and never panics.
pub(super) async fn attempt(lane: Arc<Lane>, place: usize, envelope: Envelope) -> Ended {
    let limit = lane.longest_attempt + GRACE;
    let trying = async { lane.channel.attempt(&envelope).await };
    let verdict = match timeout(limit, AssertUnwindSafe(trying).catch_unwind()).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_panic)) => unknown(Reason::LocalError, "the channel panicked during the attempt"),
        Err(_elapsed) => unknown(Reason::NoAnswer, "the attempt did not end within its limit of time"),
    };
    Ended { place, verdict }
}

/// Nobody saw the end: the other side may have accepted it.
pub(super) fn unknown(reason: Reason, detail: &str) -> Verdict {
    Verdict::new(Outcome::Unknown, reason, detail)
}
