//! The smtp kind: one notification as one mail to a relay, over connections that are reused.
//!
//! lettre builds messages, commands and logins; the connection is our own: limits of time for every phase, one
//! transaction per message without giving up the connection, messages announced behind one another
//! ([`carrier`]), replies of any size, and TLS that cannot be talked away. What an answer means is
//! [`classify`]'s alone.
//!
//! Chooses no relay but the configured one, follows no MX record, retries nothing: a pooled connection that
//! turns out to be gone is replaced by a fresh one, and that is still the same attempt (RFC 5321 section
//! 4.5.4.1 leaves retries to a queue).

mod carrier;
mod classify;
mod framer;
mod login;
mod opening;
mod options;
mod pool;
mod reply;
mod session;
mod transaction;
mod wire;

use std::pin::Pin;
use std::sync::atomic::AtomicBool;

use lettre::message::Mailbox;
use rustls::pki_types::ServerName;

pub use options::{Mechanism, Options, Timeouts, Tls};

use self::carrier::One;
use self::login::Login;
use self::opening::Opener;
use self::pool::Pool;
use self::transaction::Letter;
use super::{Attempt, BuildError, Channel, Envelope, Supply, mail, recipient};
use crate::model::Verdict;
use crate::tls::Trust;

/// A channel of kind `smtp`.
pub struct Smtp {
    from: Option<Mailbox>,
    opener: Opener,
    pool: Pool,
    /// Whether every message is sent by itself: announcing one behind another has gone wrong.
    singly: AtomicBool,
}

impl Smtp {
    /// Builds it: reads its password and its certificates, opens no connection.
    ///
    /// # Errors
    /// When an option cannot be used, or does not go with another.
    pub fn new(name: &str, options: &Options) -> Result<Self, BuildError> {
        let fail = |key: &'static str, what: String| BuildError { channel: name.to_owned(), key, what };
        let (host, server_name) = host(&options.host).ok_or_else(|| {
            fail("host", "is neither a host's name nor an IP address; give one, without a port".into())
        })?;
        let from = options.from.clone().map(sender).transpose().map_err(|what| fail("from", what))?;
        let login = login(options).map_err(|(key, what)| fail(key, what))?;
        let trust = Trust::new(options.ca_file.as_deref()).map_err(|what| fail("ca_file", what))?;
        let hello = match &options.hello {
            Some(name) if !is_hello(name) => {
                return Err(fail("hello", "is not a host's name such as `mail.example.org`".into()));
            }
            Some(name) => Some(name.clone()),
            None => own_name(),
        };
        let opener = Opener {
            host,
            port: options.port(),
            tls: options.tls(),
            trust,
            name: server_name,
            login,
            hello,
            timeouts: options.timeouts,
        };
        Ok(Self { from, opener, pool: Pool::default(), singly: AtomicBool::new(false) })
    }

    fn letter(&self, envelope: &Envelope) -> Result<Letter, Verdict> {
        let from = self.from.clone().unwrap_or_else(|| mail::default_from(envelope));
        let to = mail::to(envelope)?;
        let message = mail::build(envelope, &from, &to)?;
        Ok(Letter { id: envelope.id, from: from.email, to: to.email, message })
    }
}

impl Channel for Smtp {
    fn attempt<'a>(&'a self, envelope: &'a Envelope) -> Attempt<'a> {
        Box::pin(async move {
            let mut one = One::new(envelope);
            self.carry_all(&mut one).await;
            one.verdict()
        })
    }

    fn carry<'a>(&'a self, supply: &'a mut dyn Supply) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.carry_all(supply))
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.pool.close())
    }
}

/// Who logs in; refuses what would show a password to somebody else.
fn login(options: &Options) -> Result<Option<Login>, (&'static str, String)> {
    let (user, password) = match (&options.user, &options.password) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(("user", "is missing; a password needs a user".into())),
        (Some(_), None) => {
            return Err(("user", "has no password; set password_file or password_command".into()));
        }
        (Some(user), Some(password)) => (user, password),
    };
    if user.is_empty() || user.contains(char::is_control) {
        return Err(("user", "is empty or holds a control character".into()));
    }
    match options.tls() {
        Tls::Required | Tls::Implicit => {}
        Tls::None if options.is_loopback() => {}
        Tls::None | Tls::Opportunistic => {
            let what = format!(
                "is `{}`, which would show the password to others; set it to `required` or `implicit`",
                options.tls()
            );
            return Err(("tls", what));
        }
    }
    Login::new(user.clone(), password.clone(), options.auth)
        .map(Some)
        .map_err(|error| ("password", error.to_string()))
}

/// The host as it is looked up, and as a certificate names it: in A-labels, or an address.
fn host(host: &str) -> Option<(String, ServerName<'static>)> {
    let host = host.trim_end_matches('.');
    let ascii = if host.is_ascii() { host.to_owned() } else { idna::domain_to_ascii(host).ok()? };
    let name = ServerName::try_from(ascii.clone()).ok()?;
    Some((ascii, name))
}

/// The sender with its domain in A-labels.
fn sender(from: Mailbox) -> Result<Mailbox, String> {
    if from.name.as_deref().is_some_and(|name| name.contains(char::is_control)) {
        return Err("has a control character in its name".into());
    }
    let address = recipient::mailbox(from.email.as_ref()).map_err(|problem| problem.what)?;
    Ok(Mailbox::new(from.name, address.email))
}

fn is_hello(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    (1..=255).contains(&name.len()) && name.bytes().all(fits)
}

/// This host's name, when it is one that a relay can look up.
fn own_name() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().ok()?;
    (name.contains('.') && is_hello(name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{SecretString, Source};

    fn why(options: &Options) -> Option<&'static str> {
        Smtp::new("relay", options).err().map(|error| error.key)
    }

    #[test]
    fn options_that_do_not_go_together_are_refused_by_key() {
        let mut options = Options::new("relay.example.org");
        assert_eq!(why(&options), None);
        options.password = Some(Source::Inline(SecretString::from("p")));
        assert_eq!(why(&options), Some("user"));
        options.user = Some("u".into());
        assert_eq!(why(&options), None);
        for (tls, key) in [
            (Tls::None, Some("tls")),
            (Tls::Opportunistic, Some("tls")),
            (Tls::Required, None),
            (Tls::Implicit, None),
        ] {
            options.tls = Some(tls);
            assert_eq!(why(&options), key, "{tls}");
        }
        let local = Options { host: "127.0.0.1".into(), tls: Some(Tls::None), ..options.clone() };
        assert_eq!(why(&local), None);
        options.password = None;
        assert_eq!(why(&options), Some("user"));
    }

    #[test]
    fn a_host_or_a_name_that_is_none_is_refused() {
        for host in ["", "two words", "relay.example.org:25", "a/b"] {
            assert_eq!(why(&Options::new(host)), Some("host"), "{host}");
        }
        for host in ["localhost", "::1", "192.0.2.1", "relay.example.org.", "bücher.example"] {
            assert_eq!(why(&Options::new(host)), None, "{host}");
        }
        let mut options = Options::new("localhost");
        options.hello = Some("a b\r\nMAIL FROM:<x>".into());
        assert_eq!(why(&options), Some("hello"));
    }

    #[test]
    fn an_error_never_shows_the_password() {
        let mut options = Options::new("relay.example.org");
        options.user = Some("u".into());
        options.password = Some(Source::Inline(SecretString::from("s3cret")));
        options.tls = Some(Tls::None);
        let error = Smtp::new("relay", &options).err().unwrap();
        assert!(!format!("{error} {error:?} {options:?}").contains("s3cret"));
    }
}
