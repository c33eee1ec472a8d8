//! Who logs in, and with what: a password read once, or an access token read again before it is old.
//!
//! Never shows either. What the relay says may repeat them, so what is to be taken out of that is known here as well.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::authentication::{self, Credentials};

use super::options::Mechanism;
use crate::clock;
use crate::secret::{ExposeSecret, SecretString, Source};

/// How long an access token is used without asking again; the usual ones last an hour.
const TOKEN_AGE: Duration = Duration::from_secs(300);

/// A user with a secret that may change.
pub struct Login {
    user: String,
    source: Source,
    mechanism: Mechanism,
    /// The secret, and when it was read (since boot).
    read: Mutex<Option<(SecretString, Duration)>>,
}

impl Login {
    /// Reads the secret, unless a program must be run for it: that waits until a connection needs it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(user: String, source: Source, mechanism: Mechanism) -> Result<Self, crate::secret::Error> {
        let read = match &source {
            Source::Command(_) => None,
            source => Some((source.read()?, clock::since_boot())),
        };
        Ok(Self { user, source, mechanism, read: Mutex::new(read) })
    }

    /// The mechanism to use where the relay offers `offered`, most wanted first.
    pub fn choose(&self, offered: &[Mechanism]) -> Option<authentication::Mechanism> {
        let wanted: &[Mechanism] = match self.mechanism {
            Mechanism::Auto => &[Mechanism::Plain, Mechanism::Login],
            Mechanism::Plain => &[Mechanism::Plain],
            Mechanism::Login => &[Mechanism::Login],
            Mechanism::Xoauth2 => &[Mechanism::Xoauth2],
        };
        match wanted.iter().find(|wanted| offered.contains(wanted))? {
            Mechanism::Plain | Mechanism::Auto => Some(authentication::Mechanism::Plain),
            Mechanism::Login => Some(authentication::Mechanism::Login),
            Mechanism::Xoauth2 => Some(authentication::Mechanism::Xoauth2),
        }
    }

    /// What to log in with, and what that says; runs a program off the async threads where one must be run.
    ///
    /// # Errors
    /// When the secret cannot be read; says where and why.
    pub async fn credentials(&self) -> Result<(Credentials, Said), String> {
        let secret = match self.remembered() {
            Some(secret) => secret,
            None => {
                let source = self.source.clone();
                let secret = tokio::task::spawn_blocking(move || source.read())
                    .await
                    .map_err(|_| "reading the password was interrupted".to_owned())?
                    .map_err(|error| error.to_string())?;
                *self.lock() = Some((secret.clone(), clock::since_boot()));
                secret
            }
        };
        let said = Said::new(&self.user, secret.expose_secret());
        Ok((Credentials::new(self.user.clone(), secret.expose_secret().to_owned()), said))
    }

    /// Reads the secret again before the next login: it was refused, and may have been changed since.
    pub fn forget(&self) {
        *self.lock() = None;
    }

    fn remembered(&self) -> Option<SecretString> {
        let read = self.lock();
        let (secret, at) = read.as_ref()?;
        let is_old =
            self.mechanism == Mechanism::Xoauth2 && clock::since_boot().saturating_sub(*at) > TOKEN_AGE;
        (!is_old).then(|| secret.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(SecretString, Duration)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a login says that nobody may be shown: the secret, as it is and as it is sent. Each connection keeps its own:
/// another one may have read a newer secret meanwhile.
#[derive(Default)]
pub struct Said(Vec<SecretString>);

impl Said {
    fn new(user: &str, secret: &str) -> Self {
        let plain = STANDARD.encode(format!("\0{user}\0{secret}"));
        let oauth = STANDARD.encode(format!("user={user}\x01auth=Bearer {secret}\x01\x01"));
        let forms = [plain, oauth, STANDARD.encode(secret), secret.to_owned()];
        Self(forms.into_iter().filter(|form| !form.is_empty()).map(SecretString::from).collect())
    }

    /// The lines of a relay as one, without any of it; `None` where there is none of it in them.
    pub fn removed_from(&self, lines: &[String]) -> Option<String> {
        let is_in =
            |form: &SecretString| lines.iter().any(|line| line.contains(beginning(form.expose_secret())));
        if !self.0.iter().any(is_in) {
            return None;
        }
        let mut lines = lines.to_vec();
        for line in &mut lines {
            self.0.iter().for_each(|form| remove(line, form.expose_secret()));
        }
        Some(lines.join(" "))
    }
}

/// Of a long secret its beginning is enough to know it by, for relays and we cut long lines.
fn beginning(secret: &str) -> &str {
    secret.char_indices().nth(24).map_or(secret, |(at, _)| &secret[..at])
}

/// Takes `secret` out of `text`, also what is left of one that was cut.
fn remove(text: &mut String, secret: &str) {
    let begin = beginning(secret);
    if !text.contains(begin) {
        return;
    }
    *text = text.replace(secret, "[removed]");
    if begin == secret {
        return;
    }
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some((before, after)) = rest.split_once(begin) {
        kept.push_str(before);
        kept.push_str("[removed]");
        rest = after.find(char::is_whitespace).map_or("", |end| &after[end..]);
    }
    *text = kept + rest;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(mechanism: Mechanism) -> Login {
        Login::new("u".into(), Source::Inline(SecretString::from("s3cret")), mechanism).unwrap()
    }

    #[test]
    fn the_best_offered_mechanism_is_taken() {
        use authentication::Mechanism as Lettre;
        let all = [Mechanism::Login, Mechanism::Xoauth2, Mechanism::Plain];
        assert_eq!(login(Mechanism::Auto).choose(&all), Some(Lettre::Plain));
        assert_eq!(login(Mechanism::Auto).choose(&all[..2]), Some(Lettre::Login));
        assert_eq!(login(Mechanism::Plain).choose(&all[..2]), None);
        assert_eq!(login(Mechanism::Xoauth2).choose(&all), Some(Lettre::Xoauth2));
        assert_eq!(login(Mechanism::Auto).choose(&[]), None);
    }

    fn removed(secret: &str, text: &str) -> String {
        Said::new("u", secret).removed_from(&[text.to_owned()]).unwrap()
    }

    #[test]
    fn what_the_relay_repeats_of_a_login_is_removed() {
        let plain = STANDARD.encode("\0u\0s3cret");
        let said = format!("no: {plain} {} s3cret", STANDARD.encode("s3cret"));
        assert_eq!(removed("s3cret", &said), "no: [removed] [removed] [removed]");
    }

    #[test]
    fn of_a_long_secret_that_the_relay_cuts_nothing_is_left() {
        let token = "ya29.".to_owned() + &"0123456789".repeat(200);
        let said = STANDARD.encode(format!("user=u\x01auth=Bearer {token}\x01\x01"));
        let said = format!("what is {}... or {}", &said[..800], &token[..100]);
        assert_eq!(removed(&token, &said), "what is [removed] or [removed]");
    }

    #[tokio::test]
    async fn a_refused_secret_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let write = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, mode).unwrap();
        };
        write("one\n");
        let login = Login::new("u".into(), Source::File(file.clone()), Mechanism::Auto).unwrap();
        write("two\n");
        let pair = |secret: &str| Credentials::new("u".into(), secret.into());
        assert!(login.credentials().await.unwrap().0 == pair("one"));
        login.forget();
        assert!(login.credentials().await.unwrap().0 == pair("two"));
    }
}
