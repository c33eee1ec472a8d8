//! The secret of a token: made once, shown once, and kept as its SHA-256 alone.
//!
//! A token is `nctl_ID_SECRET`: the id finds it without searching for anything secret, and 256 random bits in the
//! base64 of URLs prove it. So much randomness needs no slow hash: there is no word list to try.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ExposeSecret, SecretString};

/// What every token begins with, so that people and scanners for leaked secrets know one.
pub const PREFIX: &str = "nctl_";

/// The random bytes of a secret.
const BYTES: usize = 32;

/// The letters of a secret.
const LETTERS: usize = 43;

/// What the store keeps of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a secret's letters.
    #[must_use]
    pub fn of(secret: &SecretString) -> Self {
        Self(Sha256::digest(secret.expose_secret().as_bytes()).into())
    }

    /// Whether it is that of `secret`; takes as long for one that is nearly right as for one that is not.
    #[must_use]
    pub fn is_of(&self, secret: &SecretString) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// Draws a new secret.
///
/// # Errors
/// When the system gives no random bytes.
pub fn draw() -> std::io::Result<SecretString> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *bytes).map_err(std::io::Error::other)?;
    Ok(BASE64.encode(bytes.as_slice()).into())
}

/// The whole token, as its owner keeps it.
#[must_use]
pub fn join(id: i64, secret: &SecretString) -> SecretString {
    format!("{PREFIX}{id}_{}", secret.expose_secret()).into()
}

/// The id and the secret of a token; `None` when `text` cannot be one. Says nothing about whether it is good.
#[must_use]
pub fn split(text: &str) -> Option<(i64, SecretString)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !digits || secret.len() != LETTERS || !secret.bytes().all(letters) {
        return None;
    }
    Some((id.parse().ok()?, secret.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_its_id_and_secret() {
        let secret = draw().unwrap();
        let token = join(42, &secret);
        let (id, again) = split(token.expose_secret()).unwrap();
        assert_eq!((id, again.expose_secret()), (42, secret.expose_secret()));
        assert!(Fingerprint::of(&secret).is_of(&again));
        assert!(!Fingerprint::of(&secret).is_of(&draw().unwrap()));
        assert_ne!(draw().unwrap().expose_secret(), draw().unwrap().expose_secret());
    }

    #[test]
    fn what_cannot_be_a_token_is_none() {
        let secret = draw().unwrap();
        let secret = secret.expose_secret();
        for text in [
            String::new(),
            "nctl_".into(),
            format!("nctl_{secret}"),
            format!("nctl__{secret}"),
            format!("nctl_-1_{secret}"),
            format!("nctl_+1_{secret}"),
            format!("nctl_99999999999999999999_{secret}"),
            format!("nctl_1_{secret}A"),
            format!("nctl_1_{}", &secret[1..]),
            format!("nctl_1_{}é", &secret[2..]),
            format!("NCTL_1_{secret}"),
            format!("nctl_1_{secret} "),
        ] {
            assert!(split(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let secret = draw().unwrap();
        let shown = format!("{secret:?} {:?} {:?}", join(1, &secret), Fingerprint::of(&secret));
        assert!(!shown.contains(&secret.expose_secret()[..4]), "{shown}");
    }
}
