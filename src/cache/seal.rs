//! Values are sealed before they leave this process: Redis and whoever reads it or its dumps sees no personal
//! data, and nobody can make it answer what notifyctl did not write.
//!
//! AES-256-GCM with a key of its own for each value: HMAC-SHA-256 over a random salt, so that no nonce is ever used
//! twice however many values there are. The name under which a value lies is part of what is sealed: a value that
//! was moved to another name, another generation or another store opens for nobody.
//!
//! The key lives no longer than those who use it. A store may be replaced by an older copy of itself while nobody has it
//! open, and then counts its changes again from where that copy stood: nothing in it tells which answers are of the copy. So
//! whoever comes when nobody is left makes a new key, and what lay in Redis opens for nobody any more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use rustix::fs::OFlags;
use tempfile::NamedTempFile;

/// Bytes of the key, and of what each value's key is made of.
const KEY: usize = 32;
const SALT: usize = 16;

/// How often, and after which pause, a file that another one is about to replace is looked at again.
const TRIES: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(1);

/// What values are sealed with: a random key that lies beside the store, for those who may read the store.
pub struct Seal {
    key: hmac::Key,
    /// Locked as long as this lives: while anybody has it, whoever comes takes the same key.
    _life: Option<File>,
}

impl Seal {
    /// The key of those who use the file now; a new one when there is nobody: random, mode 0600, whole or not at all.
    ///
    /// # Errors
    /// What the system says, when the file holds no key, and when somebody else keeps it locked.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut new = New::beside(path)?;
        for _ in 0..TRIES {
            let file = match open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => match new.file.persist_noclobber(path) {
                    Ok(file) => return Ok(Self::living(&new.key, file)),
                    Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                        new.file = error.file;
                        continue;
                    }
                    Err(error) => return Err(error.error),
                },
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                // Only who has it locked replaces it. One that was replaced before that is locked by nobody.
                Ok(()) if is_at(&file, path) => {
                    let file = new.file.persist(path).map_err(|error| error.error)?;
                    return Ok(Self::living(&new.key, file));
                }
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            match file.try_lock_shared() {
                Ok(()) if is_at(&file, path) => return Ok(Self::living(&read(&file)?, file)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::new(
            ErrorKind::WouldBlock,
            "is kept locked by another program; end that, and start anew",
        ))
    }

    /// The key that lies in the file now, for who looks and leaves nothing behind.
    ///
    /// # Errors
    /// What the system says, and when the file holds no key.
    pub fn seen_in(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&read(&open(path)?)?))
    }

    /// A key that nobody else has, for tests and for processes that share nothing.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> io::Result<Self> {
        Ok(Self::of(&random::<KEY>()?))
    }

    fn of(key: &[u8; KEY]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), _life: None }
    }

    fn living(key: &[u8; KEY], file: File) -> Self {
        Self { _life: Some(file), ..Self::of(key) }
    }

    /// Eight hexadecimal digits that tell keys apart and say nothing about them.
    #[must_use]
    pub fn name(&self) -> String {
        let tag = hmac::sign(&self.key, b"name");
        tag.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals `bytes` for the place `about`.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn close(&self, about: &[u8], bytes: &[u8]) -> io::Result<Vec<u8>> {
        let salt = random::<SALT>()?;
        let mut sealed = Vec::with_capacity(SALT + bytes.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(bytes);
        let (key, nonce) = self.key_of(&salt);
        key.seal_in_place_append_tag(nonce, Aad::from(about), &mut sealed)
            .map_err(|_| io::Error::other("a value is too long to be sealed"))?;
        sealed.splice(0..0, salt);
        Ok(sealed)
    }

    /// What was sealed for the place `about`; `None` when it was not, or not by us.
    #[must_use]
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (salt, rest) = sealed.split_first_chunk::<SALT>()?;
        let (key, nonce) = self.key_of(salt);
        let mut rest = rest.to_vec();
        let length = key.open_in_place(nonce, Aad::from(about), &mut rest).ok()?.len();
        rest.truncate(length);
        Some(rest)
    }

    fn key_of(&self, salt: &[u8; SALT]) -> (LessSafeKey, Nonce) {
        let own = hmac::sign(&self.key, salt);
        let key = UnboundKey::new(&AES_256_GCM, own.as_ref()).expect("32 bytes are a key");
        (LessSafeKey::new(key), Nonce::assume_unique_for_key([0; 12]))
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// A key that nobody has yet, in a file that is to lie at the place of another one.
struct New {
    key: [u8; KEY],
    file: NamedTempFile,
}

impl New {
    /// Locked before it lies there: nobody finds it without one who uses it. It needs no sync, for no key outlives a crash.
    fn beside(path: &Path) -> io::Result<Self> {
        let key = random()?;
        let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
        file.write_all(&key)?;
        file.as_file().lock_shared()?;
        Ok(Self { key, file })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

/// Whether the file is what lies at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let of = |about: io::Result<std::fs::Metadata>| about.ok().map(|about| (about.dev(), about.ino()));
    of(file.metadata()).is_some_and(|opened| Some(opened) == of(std::fs::symlink_metadata(path)))
}

fn read(file: &File) -> io::Result<[u8; KEY]> {
    let mut key = Vec::new();
    file.take(KEY as u64 + 1).read_to_end(&mut key)?;
    let no_key = |_| io::Error::new(ErrorKind::InvalidData, "holds no key; remove it, and a new one is made");
    key.try_into().map_err(no_key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_for_one_place_opens_there_and_nowhere_else() {
        let seal = Seal::random().unwrap();
        let sealed = seal.close(b"here", b"ops@example.org").unwrap();
        assert_eq!(seal.open(b"here", &sealed).unwrap(), b"ops@example.org");
        assert!(!sealed.windows(3).any(|part| part == b"ops"));
        assert_eq!(seal.open(b"there", &sealed), None);
        assert_eq!(Seal::random().unwrap().open(b"here", &sealed), None);
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert_eq!(seal.open(b"here", &other), None, "byte {at}");
            assert_eq!(seal.open(b"here", &sealed[..at]), None, "{at} bytes");
        }
        assert_ne!(seal.close(b"here", b"x").unwrap(), seal.close(b"here", b"x").unwrap());
    }

    #[test]
    fn those_who_come_together_have_one_key_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "of an earlier life, and spoilt").unwrap();
        for _ in 0..50 {
            let seals: Vec<_> = std::thread::scope(|scope| {
                let made = (0..4).map(|_| scope.spawn(|| Seal::of_file(&path).unwrap()));
                made.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect()
            });
            let seen = Seal::seen_in(&path).unwrap().name();
            assert!(seals.iter().all(|one| one.name() == seen), "{seen}");
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left lying");
        let _living = Seal::of_file(&path).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(Seal::of_file(&path).err().unwrap().to_string().contains("holds no key"));
    }

    #[test]
    fn what_was_sealed_opens_as_long_as_somebody_lives_who_may_open_it_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let first = Seal::of_file(&path).unwrap();
        let sealed = first.close(b"here", b"x").unwrap();
        let second = Seal::of_file(&path).unwrap();
        drop(first);
        let third = Seal::of_file(&path).unwrap();
        drop(second);
        // Who only looks keeps nothing alive.
        let looks = Seal::seen_in(&path).unwrap();
        assert!(third.open(b"here", &sealed).is_some() && looks.open(b"here", &sealed).is_some());
        drop(third);
        let end = std::time::Instant::now() + Duration::from_secs(30);
        // A process that another test is just starting may have the lock with it for a moment.
        while Seal::of_file(&path).unwrap().open(b"here", &sealed).is_some() {
            assert!(std::time::Instant::now() < end, "an earlier life's key is still used");
        }
        assert_ne!(Seal::seen_in(&path).unwrap().name(), looks.name());
    }

    #[test]
    fn a_file_that_somebody_keeps_locked_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let stranger = File::create(&path).unwrap();
        stranger.lock().unwrap();
        assert!(Seal::of_file(&path).err().unwrap().to_string().contains("locked by another"));
    }
}
