//! Values are sealed before they leave this process: Redis and whoever reads it or its dumps sees no personal
//! data, and nobody can make it answer what notifyctl did not write.
//!
//! AES-256-GCM with a key of its own for each value: HMAC-SHA-256 over a random salt, so that no nonce is ever used
//! twice however many values there are. The name under which a value lies is part of what is sealed: a value that
//! was moved to another name, another generation or another store opens for nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use rustix::fs::OFlags;

/// Bytes of the key, and of what each value's key is made of.
const KEY: usize = 32;
const SALT: usize = 16;

/// What values are sealed with: a random key that lies beside the store, for those who may read the store.
pub struct Seal(hmac::Key);

impl Seal {
    /// Reads the key, or makes it: random, mode 0600, whole or not at all.
    ///
    /// # Errors
    /// What the system says, and when the file holds no key.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(path)?;
                read(path)
            }
            read => read,
        }
    }

    /// A key that nobody else has, for tests and for processes that share nothing.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> io::Result<Self> {
        Ok(Self::of(&random::<KEY>()?))
    }

    fn of(key: &[u8; KEY]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Eight hexadecimal digits that tell keys apart and say nothing about them.
    #[must_use]
    pub fn name(&self) -> String {
        let tag = hmac::sign(&self.0, b"name");
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
        let own = hmac::sign(&self.0, salt);
        let key = UnboundKey::new(&AES_256_GCM, own.as_ref()).expect("32 bytes are a key");
        (LessSafeKey::new(key), Nonce::assume_unique_for_key([0; 12]))
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

fn read(path: &Path) -> io::Result<Seal> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let mut key = Vec::new();
    file.take(KEY as u64 + 1).read_to_end(&mut key)?;
    let key = <[u8; KEY]>::try_from(key);
    key.map(|key| Seal::of(&key)).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "holds no key; remove it, and a new one is made")
    })
}

/// Two may make it at once: the first one's stays.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&random::<KEY>()?)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all(),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
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
    fn the_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let names: Vec<_> = std::thread::scope(|scope| {
            let made = (0..4).map(|_| scope.spawn(|| Seal::of_file(&path).unwrap().name()));
            made.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "short").unwrap();
        assert!(Seal::of_file(&path).err().unwrap().to_string().contains("holds no key"));
    }
}
