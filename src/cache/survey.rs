//! What can be said of a cache from outside of the processes that use it, and how it is emptied.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::{Cmd, Value, cmd, pipe};

use super::{Counted, Failure, Head, Shelf};

/// How long the keys of a store are searched for; Redis may hold many that are others'.
const SEARCH: Duration = Duration::from_secs(5);

/// How many keys are looked at by one call.
const PAGE: u32 = 500;

/// How long the counts of reads are kept after the last one.
const COUNTS: Duration = Duration::from_secs(30 * 86_400);

/// What Redis says of a cache.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// How long one answer took.
    pub latency: Duration,
    /// What the head says; `None` while no daemon has begun one.
    pub head: Option<Head>,
    /// What became of reads in all processes, as far as they have told.
    pub counted: Counted,
}

/// What a cache takes up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weight {
    /// Keys of this store.
    pub keys: u64,
    /// Whether the search was given up before its end: there may be more.
    pub more: bool,
    /// What Redis says of its memory: `used_memory`, `maxmemory`, `maxmemory_policy`, `redis_version` …; empty when it says
    /// nothing to this user.
    pub memory: BTreeMap<String, String>,
}

impl Shelf {
    /// Connects, and asks the head and the counts. Changes nothing.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn survey(&self) -> Result<Survey, Failure> {
        self.link.connect().await?;
        let begun = Instant::now();
        let asked = cmd("HMGET").arg(self.head()).arg("generation").arg("through").to_owned();
        let (generation, through): (Option<String>, Option<u64>) = self.ask(asked).await?;
        let latency = begun.elapsed();
        let counted: BTreeMap<String, u64> = self.ask(cmd("HGETALL").arg(self.counts()).to_owned()).await?;
        let head = generation
            .zip(through)
            .map(|(generation, through)| Head { generation: generation.into(), through });
        Ok(Survey { latency, head, counted: Counted::of(|name| counted.get(name).copied().unwrap_or(0)) })
    }

    /// Counts this store's keys, and asks what Redis's memory is.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn weigh(&self) -> Result<Weight, Failure> {
        let mut weight = Weight::default();
        weight.more = !self
            .search(async |keys| {
                weight.keys += keys.len() as u64;
                Ok(())
            })
            .await?;
        // Whoever may use a cache need not be allowed to see the server's insides.
        let info = self.ask::<String>(cmd("INFO").to_owned()).await.unwrap_or_default();
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        weight.memory = lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        Ok(weight)
    }

    /// Removes every key of this store, of other versions of notifyctl too; says how many. Daemons begin anew.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn flush(&self) -> Result<u64, Failure> {
        self.link.connect().await?;
        // First of all, so that nothing of the rest counts any more.
        let mut removed: u64 = self.ask(cmd("UNLINK").arg(self.head()).to_owned()).await?;
        loop {
            let mut more = 0;
            let whole = self
                .search(async |keys| {
                    more += self.ask::<u64>(cmd("UNLINK").arg(keys).to_owned()).await?;
                    Ok(())
                })
                .await?;
            removed += more;
            if whole || more == 0 {
                return Ok(removed);
            }
        }
    }

    /// Adds what was counted in this process since it told last.
    pub(super) async fn tell_counts(&self, since: Counted) -> Result<(), Failure> {
        let key = self.counts();
        let mut all = pipe();
        for (name, count) in since.parts().into_iter().filter(|(_, count)| *count > 0) {
            all.cmd("HINCRBY").arg(&key).arg(name).arg(count).ignore();
        }
        let ttl = u64::try_from(COUNTS.as_millis()).unwrap_or(u64::MAX);
        all.cmd("PEXPIRE").arg(&key).arg(ttl).ignore();
        self.link.call(|mut to| async move { all.query_async::<()>(&mut to).await }).await
    }

    /// Hands every key of this store to `found`, page by page; false when it took too long.
    async fn search(
        &self,
        mut found: impl AsyncFnMut(Vec<Vec<u8>>) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let begun = Instant::now();
        let mut cursor = 0_u64;
        loop {
            let mut page = cmd("SCAN");
            page.arg(cursor).arg("MATCH").arg(format!("{}*", self.store)).arg("COUNT").arg(PAGE);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.ask(page).await?;
            if !keys.is_empty() {
                found(keys).await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(true);
            }
            if begun.elapsed() > SEARCH {
                return Ok(false);
            }
        }
    }

    async fn ask<T: redis::FromRedisValue>(&self, asked: Cmd) -> Result<T, Failure> {
        let answer = |mut to| async move { asked.query_async::<Value>(&mut to).await };
        let answer = self.link.call(answer).await?;
        redis::from_redis_value(answer).map_err(|_| Failure::Nonsense)
    }

    fn counts(&self) -> String {
        format!("{}counts", self.store)
    }
}
