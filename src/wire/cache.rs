//! The cache: `cache stats --json`, and part of `status --json`.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is known of the cache.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cache {
    /// Where it is.
    pub url: String,
    /// Why it does not answer, or null.
    pub trouble: Option<String>,
    /// How long one answer took, in microseconds, or null.
    pub latency_us: Option<u64>,
    /// The generation of what counts there, or null while no daemon has begun one.
    pub generation: Option<String>,
    /// How many changes of the store it does not know yet, or null.
    pub behind: Option<u64>,
    /// What became of reads in all daemons: `hits`, `misses`, `bypassed`, `shared`; and beside them `filled`, `refused`,
    /// `errors`, `timeouts` (of these), `foreign`.
    pub reads: BTreeMap<String, u64>,
    /// Hits of all reads, from 0 to 1, or null without any.
    pub hit_rate: Option<f64>,
    /// Keys of this store, or null when they were not counted.
    pub keys: Option<u64>,
    /// Whether there are more keys than were counted.
    pub more_keys: bool,
    /// Bytes that all of that Redis takes up, or null when it does not say.
    pub memory: Option<u64>,
    /// The most bytes that it may take up, or null.
    pub memory_limit: Option<u64>,
    /// What it does when that is reached, or null when it does not say.
    pub policy: Option<String>,
    /// Its version, or null when it does not say.
    pub version: Option<String>,
}
