//! What lies in Redis, and the six steps by which it changes; each is one script there. What lies there is read by plain commands.
//!
//! | name | what it is |
//! | --- | --- |
//! | head | a generation (random), and up to which change of the store all is known here |
//! | entry | one answer: a value, or the lease of the one process that may fill it |
//!
//! Two rules make every value as new as the head says, whatever happens to Redis:
//!
//! - **A fill needs its lease.** A lease is granted before the store is read, and whoever tells of a change takes
//!   values and leases of what changed away. So what was read before a change cannot be filled in after it.
//! - **The head lies beside the values.** A reader knows up to which change the store has come and takes no value from
//!   a Redis that does not know as much. A Redis that is restored, restarted from an old dump, or replaced by its
//!   replica has lost changes and values together, and says so by its own head; one that was flushed has no head.
//!
//! Versions in the values with tombstones would be refused fills too, but not survive a Redis that goes back.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::{RedisResult, Script};

use super::link::{Failure, Link};
use super::{Key, Options, Seal, Shelf};
use crate::model::{Id, Mark};

/// For how long one process may take to fill an entry before another one may, at least.
const LEASE: Duration = Duration::from_secs(2);

/// How long a head that nobody moves outlives the values.
const HEAD: Duration = Duration::from_secs(3_600);

/// Changes with its layout, so that versions of notifyctl that differ do not read each other's values.
const LAYOUT: &str = concat!("1-", env!("CARGO_PKG_VERSION"));

/// What the head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which generation of values is the one that counts.
    pub generation: Arc<str>,
    /// Up to which change all is known.
    pub through: u64,
}

impl Head {
    /// Under which epoch of the store the generation began; its name ends with it.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.generation.rsplit_once('-')?.1.parse().ok()
    }
}

/// The last byte of the longest value: a mark, its bound, its salt and its tag, and the longest answer.
const MOST: usize = super::LONGEST + 256;

/// The head as Redis tells it: its generation, and up to which change; whatever was written there.
type At = (Option<String>, Option<String>);

/// What a look-up came to.
#[derive(Debug)]
pub enum Found {
    /// A value, with the time it has left.
    Value {
        /// What was filled in.
        bytes: Vec<u8>,
        /// For how long it will lie there yet.
        left: Duration,
        /// For how long it was to lie there, when that bounds its age.
        of: Option<Duration>,
    },
    /// Nothing, and the leave to fill it.
    Lease(Lease),
    /// Another process is about to fill it.
    Busy,
    /// Redis knows less than the reader does, or another generation counts.
    Behind,
    /// Something that this store never put there.
    Foreign,
}

/// The leave to fill one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    entry: String,
    token: String,
}

/// What telling of changes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advanced {
    /// All of them are known now; there were values under these.
    To(Vec<Key>),
    /// Somebody else had told already.
    Known,
    /// Redis knows less than was thought, or another generation counts: [`Shelf::open`] says which.
    Behind,
}

/// The scripts, compiled by Redis once.
pub(super) struct Scripts {
    open: Script,
    lease: Script,
    fill: Script,
    give_back: Script,
    advance: Script,
    renew: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            open: Script::new(include_str!("open.lua")),
            lease: Script::new(include_str!("lease.lua")),
            fill: Script::new(include_str!("fill.lua")),
            give_back: Script::new(include_str!("give_back.lua")),
            advance: Script::new(include_str!("advance.lua")),
            renew: Script::new(include_str!("renew.lua")),
        }
    }
}

impl Shelf {
    /// The shelf of the store `store_id`. Connects nowhere yet.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(options: &Options, store_id: &str, seal: Seal) -> Result<Self, String> {
        // In braces: a Redis Cluster keeps all of it on one node, as scripts need it.
        let store = format!("notifyctl:{{{store_id}}}:");
        let prefix = format!("{store}{LAYOUT}-{}-{}:", seal.name(), file(&options.database));
        let ttl = options.result_ttl + HEAD;
        Ok(Self {
            link: Link::new(options.clone())?,
            seal,
            store,
            prefix,
            head_ttl: ttl,
            // A reader who asks for the time left while a lease becomes a value hears that of the lease. It is more than any value
            // has whose age is counted by it, so that none looks younger than it is.
            lease: LEASE + 2 * options.max_age,
            scripts: Scripts::new(),
        })
    }

    /// What every name begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether a connection stands, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.link.stands()
    }

    /// Whether Redis is asked at all: it is left alone for a while after failures.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.link.is_closed()
    }

    /// Connects if need be, and says what the head says; begins one at the mark `last` where there is none. That
    /// must have been read from the store before.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn open(&self, last: Mark) -> Result<Head, Failure> {
        self.link.connect().await?;
        let mut call = self.scripts.open.key(self.head());
        call.arg(new_generation(last.epoch)?).arg(last.change).arg(millis(self.head_ttl));
        let (generation, through): (String, u64) =
            self.link.call(|mut to| async move { call.invoke_async(&mut to).await }).await?;
        Ok(Head { generation: generation.into(), through })
    }

    /// Tells that what `changed` is all that changed in the store after `head` and up to the change `to`.
    ///
    /// # Errors
    /// Why there is no answer. It may have been told all the same, which does no harm.
    pub async fn advance(&self, head: &Head, to: u64, changed: &[Id]) -> Result<Advanced, Failure> {
        let mut call = self.scripts.advance.key(self.head());
        let keys: Vec<Key> = changed.iter().flat_map(|id| Key::of(*id)).collect();
        for key in &keys {
            call.key(self.entry(&head.generation, *key));
        }
        call.arg(&*head.generation).arg(head.through).arg(to).arg(millis(self.head_ttl));
        let answer: Vec<String> =
            self.link.call(|mut with| async move { call.invoke_async(&mut with).await }).await?;
        let (word, rest) = answer.split_first().ok_or(Failure::Nonsense)?;
        let held = |number: &String| keys.get(number.parse::<usize>().ok()?).copied();
        match &**word {
            "advanced" => Ok(Advanced::To(rest.iter().filter_map(held).collect())),
            "known" => Ok(Advanced::Known),
            "behind" => Ok(Advanced::Behind),
            _ => Err(Failure::Nonsense),
        }
    }

    /// Begins a new generation in place of `old`: at the mark `at`, or where it stands. Nothing happens when
    /// another generation counts already. What was filled in goes by itself, when its time has come.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn renew(&self, old: &Head, at: Option<Mark>) -> Result<bool, Failure> {
        let mut call = self.scripts.renew.key(self.head());
        let epoch = at.map_or(old.epoch().unwrap_or(0), |at| at.epoch);
        let through = at.map(|at| at.change.to_string()).unwrap_or_default();
        call.arg(&*old.generation).arg(new_generation(epoch)?).arg(through).arg(millis(self.head_ttl));
        let renewed: u8 = self.link.call(|mut to| async move { call.invoke_async(&mut to).await }).await?;
        Ok(renewed == 1)
    }

    /// Looks for `key`. `head` is what the reader knows: the generation that counts, and up to which change the store
    /// has come.
    ///
    /// A value that is there costs three plain commands, a fraction of what a script does. They need not be one: the head is
    /// asked before the value, which is then at least as new as that head said; and the time left before the value,
    /// which can so only look older than it is.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn look_up(&self, head: &Head, key: Key) -> Result<Found, Failure> {
        let entry = self.entry(&head.generation, key);
        let mut look = redis::pipe();
        look.cmd("HMGET").arg(self.head()).arg("generation").arg("through");
        look.cmd("PTTL").arg(&entry);
        // No further than an answer may be long, whatever somebody put there; and nothing where nothing lies.
        look.cmd("GETRANGE").arg(&entry).arg(0).arg(MOST);
        look.ignore_errors();
        let look = |mut to| async move {
            let (at, left, value): (RedisResult<At>, RedisResult<i64>, RedisResult<Vec<u8>>) =
                look.query_async(&mut to).await?;
            Ok((at?, left?, of_a_type(value)?))
        };
        let ((generation, through), left, value) = self.link.call(look).await?;
        let through = through.and_then(|through| through.parse::<u64>().ok());
        if generation.as_deref() != Some(&*head.generation) || through < Some(head.through) {
            return Ok(Found::Behind);
        }
        match value {
            Some(value) if value.is_empty() => self.lease(head, entry).await,
            Some(value) if value.starts_with(b"L") => Ok(Found::Busy),
            Some(value) => Ok(self.value(&entry, &value, left)),
            None => Ok(Found::Foreign),
        }
    }

    /// Asks for the leave to fill `entry`, which held nothing a moment ago.
    async fn lease(&self, head: &Head, entry: String) -> Result<Found, Failure> {
        let lease = Lease { entry, token: random()? };
        let mut call = self.scripts.lease.key(self.head());
        call.key(&lease.entry);
        call.arg(&*head.generation).arg(head.through).arg(&lease.token).arg(millis(self.lease));
        let word: String = self.link.call(|mut to| async move { call.invoke_async(&mut to).await }).await?;
        match &*word {
            "lease" => Ok(Found::Lease(lease)),
            "busy" => Ok(Found::Busy),
            "behind" => Ok(Found::Behind),
            _ => Err(Failure::Nonsense),
        }
    }

    /// Puts a value where `lease` allows it, for `ttl` from when the lease was granted, before it was read; says whether it was
    /// still allowed. With `bounded`, its age is to be counted: as much before the end of `ttl` as it has time left.
    ///
    /// # Errors
    /// Why there is no answer. The value may lie there all the same, which does no harm.
    pub async fn fill(
        &self,
        lease: &Lease,
        bytes: &[u8],
        ttl: Duration,
        bounded: bool,
    ) -> Result<bool, Failure> {
        let ttl = millis(ttl).max(1);
        let bound = if bounded { u32::try_from(ttl).unwrap_or(u32::MAX) } else { 0 };
        let mut value = vec![b'V'];
        value.extend(bound.to_be_bytes());
        let sealed = self.seal.close(&about(&lease.entry, bound), bytes);
        value.extend(sealed.map_err(|_| Failure::Skipped)?);
        let mut call = self.scripts.fill.key(&lease.entry);
        call.arg(&lease.token).arg(value).arg(ttl).arg(millis(self.lease));
        let set: u8 = self.link.call(|mut to| async move { call.invoke_async(&mut to).await }).await?;
        Ok(set == 1)
    }

    /// Gives a lease back that nothing came of.
    ///
    /// # Errors
    /// Why there is no answer. The lease ends by itself in any case.
    pub async fn give_back(&self, lease: &Lease) -> Result<(), Failure> {
        let mut call = self.scripts.give_back.key(&lease.entry);
        call.arg(&lease.token);
        let _: u8 = self.link.call(|mut to| async move { call.invoke_async(&mut to).await }).await?;
        Ok(())
    }

    fn value(&self, entry: &str, value: &[u8], left: i64) -> Found {
        let parts = value.strip_prefix(b"V").and_then(|rest| rest.split_first_chunk::<4>());
        let opened = parts.and_then(|(bound, sealed)| {
            let bound = u32::from_be_bytes(*bound);
            Some((bound, self.seal.open(&about(entry, bound), sealed)?))
        });
        match opened {
            Some((bound, bytes)) => Found::Value {
                bytes,
                left: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
                of: (bound > 0).then(|| Duration::from_millis(bound.into())),
            },
            None => Found::Foreign,
        }
    }

    pub(super) fn head(&self) -> String {
        format!("{}head", self.prefix)
    }

    fn entry(&self, generation: &str, key: Key) -> String {
        format!("{}{generation}:{key}", self.prefix)
    }
}

/// Which file of this host lies at `database`. A daemon may go on with one that was moved away: another one, on the copy that
/// took its place, believes nothing of what that one leaves.
fn file(database: &Path) -> String {
    let about = std::fs::metadata(database).map(|about| (about.dev(), about.ino()));
    about.map_or_else(|_| "none".to_owned(), |(device, number)| format!("{device:x}.{number:x}"))
}

/// What was read, or nothing where what lies there is no string: that was never put there by us.
fn of_a_type(value: RedisResult<Vec<u8>>) -> RedisResult<Option<Vec<u8>>> {
    match value {
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
        value => value.map(Some),
    }
}

/// What a value is sealed for: its name, and what is said of its age.
fn about(entry: &str, bound: u32) -> Vec<u8> {
    let mut about = entry.as_bytes().to_vec();
    about.extend(bound.to_be_bytes());
    about
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn new_generation(epoch: u64) -> Result<String, Failure> {
    Ok(format!("{}-{epoch}", random()?))
}

/// Sixteen hexadecimal digits that nobody had before: of a generation, or of a lease.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| Failure::Skipped)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
