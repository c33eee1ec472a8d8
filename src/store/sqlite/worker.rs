//! Ownership without a clock: each worker holds a flock that the kernel drops at its death.
//!
//! Beside the database lies a folder with one small file per worker (and the `line` of those who wait to write):
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..16 | the boot it belongs to, so that what a machine's crash left is not believed |
//! | 16..24 | the last sign of life: milliseconds since that boot, little-endian |
//! | 24..32 | how long that holds, in milliseconds, little-endian; 0 in a worker that has yet to say so |
//! | 32 + 8 n .. | place n: the id whose attempt has begun, or 0 |
//! | 8224 .. 8736 | for people, in three lines: its name, its roles, since when; filled with zeroes |
//!
//! The places survive the process and not the machine, and need no sync: they tell what had begun from what
//! was only claimed. After a crash of the machine all that was claimed may have begun.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind as Io};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::owner;
use crate::clock::since_boot;
use crate::model::{Id, Timestamp};
use crate::store::Worker;

const BEAT_AT: u64 = 16;
const PLACES_AT: u64 = 32;

/// How many notifications a worker can have in hand.
const PLACES: usize = 1024;

/// Where it stands who it is, behind the places.
pub(super) const CARD_AT: u64 = PLACES_AT + 8 * PLACES as u64;

/// How many bytes that takes.
pub(super) const CARD: usize = 512;

/// A live worker's file, locked.
pub(super) struct LocalWorker {
    id: Id,
    path: PathBuf,
    name: String,
    file: File,
}

impl LocalWorker {
    /// Makes and locks the file of a new worker.
    pub(super) fn new(database: &Path, now: Timestamp, name: &str) -> io::Result<Self> {
        let folder = folder(database);
        owner::make_folder(&folder, database)?;
        // Rises with time, so that what is old can be told from the number; random within a millisecond.
        let id = (now.0.max(0) << 20) | i64::from(getrandom::u32().map_err(io::Error::other)? >> 12);
        let path = folder.join(id.to_string());
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        // From here on whatever fails takes the file away again.
        let worker = Self { id, path, name: name.to_owned(), file };
        owner::give(&worker.file, database)?;
        worker.file.lock()?;
        // The whole head in one write: a shorter file is one that is still being made.
        let mut head = [0; PLACES_AT as usize];
        head[..16].copy_from_slice(&boot());
        head[16..].copy_from_slice(&beat(Duration::ZERO));
        worker.file.write_all_at(&head, 0)?;
        // The places at once too: on a disk that fills up later, none of them may lack room.
        worker.file.write_all_at(&[0; 8 * PLACES], PLACES_AT)?;
        Ok(worker)
    }
}

impl Worker for LocalWorker {
    fn id(&self) -> Id {
        self.id
    }

    fn places(&self) -> usize {
        PLACES
    }

    fn begin(&self, place: usize, id: Id) -> io::Result<()> {
        debug_assert!(place < PLACES);
        let written = self.file.write_all_at(&id.to_le_bytes(), PLACES_AT + 8 * place as u64);
        written.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
    }

    fn forget(&self, place: usize) -> io::Result<()> {
        self.begin(place, 0)
    }

    fn beat(&self, lease: Duration) -> io::Result<()> {
        self.file.write_all_at(&beat(lease), BEAT_AT)
    }

    fn announce(&self, roles: &str, since: Timestamp) -> io::Result<()> {
        let mut card = format!("{}\n{roles}\n{}\n", self.name, since.0).into_bytes();
        card.resize(CARD, 0);
        self.file.write_all_at(&card, CARD_AT)
    }
}

#[cfg(test)]
impl LocalWorker {
    /// What its process's death does: the lock goes, the file stays.
    pub(super) fn die(&self) {
        self.file.unlock().unwrap();
    }
}

impl Drop for LocalWorker {
    fn drop(&mut self) {
        // Left behind, it says the same: its lock is free.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What others can see of a worker.
pub(super) enum Seen {
    /// It lives, and gave a sign within the lease.
    Alive,
    /// It is gone, or gives no sign; these had begun.
    Lost(Begun),
}

/// Which of a lost worker's notifications may have begun.
pub(super) enum Begun {
    /// Nobody knows: any.
    Any,
    /// These.
    These(HashSet<Id>),
}

impl Begun {
    /// Whether `id` had, as far as anybody knows.
    pub(super) fn holds(&self, id: Id) -> Option<bool> {
        match self {
            Self::Any => None,
            Self::These(ids) => Some(ids.contains(&id)),
        }
    }
}

/// The head of a worker's file, as it is read.
pub(super) struct Head {
    /// Whether all of it is there.
    is_filled: bool,
    /// Whether it is known to be of the machine's current boot. What is locked is of it, whatever is known.
    of_this_boot: bool,
    /// The last sign of life, since that boot.
    pub(super) beat: Duration,
    /// How long that holds; nothing in a worker that has yet to say so.
    pub(super) lease: Duration,
}

impl Head {
    pub(super) fn read(file: &File) -> Self {
        let mut head = [0; PLACES_AT as usize];
        let is_filled = file.read_exact_at(&mut head, 0).is_ok();
        let of_this_boot = is_filled && is_one(&head[..16], boot());
        let millis = |at: usize| {
            Duration::from_millis(u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes")))
        };
        Self { is_filled, of_this_boot, beat: millis(16), lease: millis(24) }
    }

    /// How long ago it gave its last sign of life.
    pub(super) fn silent(&self) -> Duration {
        since_boot().saturating_sub(self.beat)
    }
}

/// Looks at another worker. Its own lease is what counts, which may be longer than ours (it serves other channels);
/// `lease` is for one that has yet to name it.
pub(super) fn look(database: &Path, id: Id, lease: Duration) -> io::Result<Seen> {
    let file = match File::open(folder(database).join(id.to_string())) {
        Ok(file) => file,
        // Taken away by its own end, or by somebody who found it dead.
        Err(error) if error.kind() == Io::NotFound => return Ok(Seen::Lost(Begun::Any)),
        Err(error) => return Err(error),
    };
    // Shared, so that two who look at the same moment do not take each other for the worker.
    let dead = match file.try_lock_shared() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => return Err(error),
    };
    let head = Head::read(&file);
    if !dead {
        let lease = if head.lease.is_zero() { lease } else { head.lease };
        let hangs = head.is_filled && head.silent() > lease;
        // A file that is locked but not filled yet belongs to a worker that is just starting.
        return Ok(if hangs { Seen::Lost(begun(&file)?) } else { Seen::Alive });
    }
    Ok(Seen::Lost(if head.of_this_boot { begun(&file)? } else { Begun::Any }))
}

/// The files of workers that are dead, with their numbers.
///
/// What one of them claimed just before its end is in the store by now: who asks it for their work asks after this.
pub(super) fn dead(database: &Path) -> io::Result<Vec<(Id, PathBuf)>> {
    let folder = match std::fs::read_dir(folder(database)) {
        Ok(folder) => folder,
        Err(error) if error.kind() == Io::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut dead = Vec::new();
    for entry in folder {
        let path = entry?.path();
        let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let Some(id) = id else { continue };
        let Ok(file) = File::open(&path) else { continue };
        let filled = file.metadata()?.len() >= PLACES_AT;
        if filled && file.try_lock_shared().is_ok() {
            dead.push((id, path));
        }
    }
    Ok(dead)
}

fn begun(file: &File) -> io::Result<Begun> {
    let mut places = vec![0; PLACES * 8];
    let mut filled = 0;
    while filled < places.len() {
        match file.read_at(&mut places[filled..], PLACES_AT + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    let ids = places[..filled].as_chunks::<8>().0.iter().map(|bytes| Id::from_le_bytes(*bytes));
    Ok(Begun::These(ids.filter(|id| *id != 0).collect()))
}

/// Where the workers' files lie.
pub(super) fn folder(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".workers");
    database.with_file_name(name)
}

/// A sign of life, now, that holds for `lease`.
fn beat(lease: Duration) -> [u8; 16] {
    let mut beat = [0; 16];
    for (to, time) in beat.chunks_exact_mut(8).zip([since_boot(), lease]) {
        to.copy_from_slice(&u64::try_from(time.as_millis()).unwrap_or(u64::MAX).to_le_bytes());
    }
    beat
}

/// A boot that the system has not named: behind a `/proc` without `sys`, as in some sandboxes.
const UNNAMED: [u8; 16] = [0; 16];

/// Whether they are known to be one boot; of two without a name nobody knows it.
fn is_one(boot: &[u8], other: [u8; 16]) -> bool {
    boot == other && other != UNNAMED
}

/// The machine's current boot.
fn boot() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).map_or(UNNAMED, u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(60);

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        (folder, database)
    }

    #[test]
    fn a_worker_that_lives_is_seen_alive_and_one_that_ended_is_not() {
        let (_folder, database) = place();
        let worker = LocalWorker::new(&database, Timestamp(1), "here:1:2").unwrap();
        let id = worker.id();
        assert!(matches!(look(&database, id, LEASE).unwrap(), Seen::Alive));
        drop(worker);
        assert!(matches!(look(&database, id, LEASE).unwrap(), Seen::Lost(Begun::Any)));
    }

    #[test]
    fn what_a_dead_worker_had_begun_is_told_from_what_it_had_only_claimed() {
        let (_folder, database) = place();
        let worker = LocalWorker::new(&database, Timestamp(1), "here:1:2").unwrap();
        worker.begin(0, 7).unwrap();
        worker.begin(5, 9).unwrap();
        worker.begin(0, 8).unwrap();
        worker.begin(6, 10).unwrap();
        worker.forget(6).unwrap();
        worker.die();
        let Seen::Lost(begun) = look(&database, worker.id(), LEASE).unwrap() else { panic!("dead") };
        assert_eq!([7, 8, 9, 10].map(|id| begun.holds(id)), [false, true, true, false].map(Some));
    }

    #[test]
    fn a_worker_without_a_sign_of_life_hangs() {
        let (_folder, database) = place();
        let worker = LocalWorker::new(&database, Timestamp(1), "here:1:2").unwrap();
        worker.file.write_all_at(&0u64.to_le_bytes(), BEAT_AT).unwrap();
        assert!(matches!(look(&database, worker.id(), Duration::ZERO).unwrap(), Seen::Lost(_)));
    }

    #[test]
    fn a_worker_that_goes_by_a_longer_lease_is_not_taken_for_hung_by_ours() {
        let (_folder, database) = place();
        let worker = LocalWorker::new(&database, Timestamp(1), "here:1:2").unwrap();
        worker.beat(LEASE * 10).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        assert!(matches!(look(&database, worker.id(), Duration::ZERO).unwrap(), Seen::Alive));
        worker.beat(Duration::from_millis(1)).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        assert!(matches!(look(&database, worker.id(), LEASE).unwrap(), Seen::Lost(_)));
    }

    #[test]
    fn of_what_belongs_to_another_boot_any_may_have_begun() {
        let (_folder, database) = place();
        let worker = LocalWorker::new(&database, Timestamp(1), "here:1:2").unwrap();
        worker.file.write_all_at(&[1; 16], 0).unwrap();
        worker.file.unlock().unwrap();
        assert!(matches!(look(&database, worker.id(), LEASE).unwrap(), Seen::Lost(Begun::Any)));
    }

    /// As behind a `/proc` without `sys`: while it lives its lock says which boot it is of, and then nothing does.
    #[test]
    fn a_worker_of_a_boot_without_a_name_lives_hangs_and_leaves_nothing_to_be_believed() {
        let (_folder, database) = place();
        let worker = LocalWorker::new(&database, Timestamp(1), "here:1:2").unwrap();
        worker.file.write_all_at(&UNNAMED, 0).unwrap();
        worker.announce("sender", Timestamp(1)).unwrap();
        worker.begin(0, 7).unwrap();
        assert!(matches!(look(&database, worker.id(), LEASE).unwrap(), Seen::Alive));
        assert_eq!(super::super::live::workers(&database).unwrap().len(), 1);
        worker.file.write_all_at(&0u64.to_le_bytes(), BEAT_AT).unwrap();
        assert!(matches!(look(&database, worker.id(), Duration::ZERO).unwrap(), Seen::Lost(Begun::These(_))));
        worker.file.unlock().unwrap();
        assert!(matches!(look(&database, worker.id(), LEASE).unwrap(), Seen::Lost(Begun::Any)));
        assert!(!is_one(&UNNAMED, UNNAMED) && is_one(&boot(), boot()));
    }

    #[test]
    fn only_the_dead_are_found_dead() {
        let (_folder, database) = place();
        let live = LocalWorker::new(&database, Timestamp(1), "here:1:2").unwrap();
        let gone = LocalWorker::new(&database, Timestamp(2), "here:1:3").unwrap();
        gone.die();
        // One that is still being made.
        File::create(folder(&database).join("7")).unwrap();
        let found: Vec<Id> = dead(&database).unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, [gone.id()]);
        drop(live);
    }
}
