//! The cache: `cache stats --json`, and part of `status --json` and of `GET /v1/status`.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

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
    /// What became of reads in all daemons: `hits`, `misses`, `bypassed`, `shared`; and beside them `near` (of the hits),
    /// `filled`, `refused`, `errors`, `timeouts` (of these), `foreign`.
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

/// What became of one daemon's reads through the cache, since it began.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CacheUse {
    /// The daemon's process id: others on the same store have counts of their own.
    pub pid: u32,
    /// Whether answers can come from Redis now.
    pub usable: bool,
    /// Each read counts once.
    pub reads: CacheReads,
    /// Hits of all reads, from 0 to 1, or null without any.
    #[schema(required, minimum = 0, maximum = 1)]
    pub hit_rate: Option<f64>,
}

/// What became of reads.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct CacheReads {
    /// Answered by Redis, or by what the daemon has just found there.
    pub hits: u64,
    /// Answered by the store, and left in Redis.
    pub misses: u64,
    /// Answered by the store, past Redis.
    pub bypassed: u64,
    /// Answered by another read of the same that was under way.
    pub shared: u64,
}
