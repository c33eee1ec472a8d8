//! The signature of Standard Webhooks (<https://www.standardwebhooks.com>): who sent it, and when.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

use crate::secret::Source;

/// What a secret starts with, before its base64.
const PREFIX: &str = "whsec_";

/// How long a secret is, in bytes; from the specification.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs with each of its secrets, so that the other side may know any of them.
pub struct Signer(Vec<SecretSlice<u8>>);

impl Signer {
    /// Reads the secrets in `file`. Gives them as they stand there, too, so that they can be kept out of details.
    ///
    /// # Errors
    /// Where and what is wrong, never the secret.
    pub fn read(file: &Path) -> Result<(Self, Vec<SecretString>), String> {
        let lines = Source::File(file.to_owned()).read_lines().map_err(|error| error.to_string())?;
        let keys = lines.iter().enumerate().map(|(i, line)| {
            decode(line.expose_secret())
                .map_err(|what| format!("secret {} in {} {what}", i + 1, file.display()))
        });
        Ok((Self(keys.collect::<Result<_, _>>()?), lines))
    }

    /// The value of `webhook-signature`, for the values of `webhook-id` and `webhook-timestamp` and the body.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret()).expect("a key of any length");
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn decode(secret: &str) -> Result<SecretSlice<u8>, String> {
    const CURE: &str = "write one with: echo whsec_$(openssl rand -base64 32)";
    let text = secret.strip_prefix(PREFIX).ok_or_else(|| format!("does not start with {PREFIX}; {CURE}"))?;
    let mut key = Zeroizing::new(STANDARD.decode(text).map_err(|_| format!("is not base64; {CURE}"))?);
    if !LENGTH.contains(&key.len()) {
        return Err(format!("holds {} bytes, not 24 to 64; {CURE}", key.len()));
    }
    Ok(std::mem::take(&mut *key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secrets: &[&str]) -> Signer {
        Signer(secrets.iter().map(|secret| decode(secret).unwrap()).collect())
    }

    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    /// The example of the specification's own libraries.
    #[test]
    fn the_specifications_example_is_reproduced() {
        let signature =
            signer(&[ONE]).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_secret_signs() {
        let [one, other] = [ONE, OTHER].map(|secret| signer(&[secret]).sign("id", "1", b"body"));
        assert_eq!(signer(&[ONE, OTHER]).sign("id", "1", b"body"), format!("{one} {other}"));
        assert_ne!(one, other);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        for (secret, said) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not start with whsec_"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La!!!!", "is not base64"),
            ("whsec_MfKQ", "holds 3 bytes"),
            ("whsec_", "holds 0 bytes"),
        ] {
            let error = decode(secret).unwrap_err();
            assert!(error.contains(said) && !error.contains("MfKQ"), "{error}");
        }
    }
}
