//! Claim, attempt, settle: the only place that loops.
//!
//! [`run`] serves both modes: until idle (`send-pending`) or until shutdown (a daemon). It decides first,
//! with the pure `model::settle`, and then writes, in one call to the store. Knows no clap, no HTTP server,
//! no Redis and no signals.

use std::sync::Arc;
use std::time::Duration;

use crate::channel::Channel;
use crate::model::{Policy, Rate};

/// One channel as the engine sees it.
#[derive(Clone)]
pub struct Lane {
    /// The channel's configured name.
    pub name: String,
    /// How one envelope leaves.
    pub channel: Arc<dyn Channel>,
    /// How it treats what could not be sent.
    pub policy: Policy,
    /// Its limits, all of which hold.
    pub rates: Vec<Rate>,
    /// How many attempts may be under way at once in this process.
    pub max_in_flight: usize,
    /// The longest that one attempt may take; the lease outlasts it.
    pub longest_attempt: Duration,
}
