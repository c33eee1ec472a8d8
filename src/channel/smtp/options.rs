//! The options of a channel of kind `smtp`, and what they mean when something is left out.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::Mailbox;

use crate::secret;

/// How long a relay may take for a courtesy: RSET between messages, QUIT at the end.
pub(super) const COURTESY: Duration = Duration::from_secs(5);

/// The options of a channel of kind `smtp`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The relay: a name, or an IP address without brackets.
    pub host: String,
    /// Its port; `None` means what [`Options::port`] says.
    pub port: Option<u16>,
    /// How the connection is protected; `None` means what [`Options::tls`] says.
    pub tls: Option<Tls>,
    /// Certificates (PEM) that are trusted beside the system's, for a private authority.
    pub ca_file: Option<PathBuf>,
    /// Who logs in; `None` for a relay that knows us by our address.
    pub user: Option<String>,
    /// The password of `user`, or the place of an access token for [`Mechanism::Xoauth2`].
    pub password: Option<secret::Source>,
    /// How `user` logs in.
    pub auth: Mechanism,
    /// Who writes: the `From` header and the envelope's sender; `None` for `notifyctl@` and the store's
    /// message domain.
    pub from: Option<Mailbox>,
    /// The name we greet with; `None` for the host's name, or its address when that name has no dot.
    pub hello: Option<String>,
    /// The limits of time.
    pub timeouts: Timeouts,
}

impl Options {
    /// Everything as it is when nothing but the relay is configured.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            tls: None,
            ca_file: None,
            user: None,
            password: None,
            auth: Mechanism::default(),
            from: None,
            hello: None,
            timeouts: Timeouts::default(),
        }
    }

    /// How the connection is protected: as configured, else implicitly on port 465, else `required` when
    /// there are credentials, else opportunistically.
    #[must_use]
    pub fn tls(&self) -> Tls {
        match self.tls {
            Some(tls) => tls,
            None if self.port == Some(465) => Tls::Implicit,
            None if self.user.is_some() => Tls::Required,
            None => Tls::Opportunistic,
        }
    }

    /// The port: as configured, else 465 for implicit TLS, 587 for required TLS and 25 for the rest (RFC 8314
    /// section 7.3, RFC 6409 section 3.1).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls() {
            Tls::Implicit => 465,
            Tls::Required => 587,
            Tls::None | Tls::Opportunistic => 25,
        })
    }

    /// Whether the relay is this very host, judged by its configured name alone.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_end_matches('.');
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The longest that one attempt may take, all its phases together: a stale connection, opening a fresh one
    /// twice (TLS that does not come about), the envelope, the message, the wait for the answer to it, and
    /// the courtesies after it.
    #[must_use]
    pub fn longest_attempt(&self) -> Duration {
        let Timeouts { command, transfer, data_done, .. } = self.timeouts;
        command + self.timeouts.opening() * 2 + command * 3 + transfer + data_done + COURTESY
    }
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// Not at all.
    None,
    /// By STARTTLS where the relay offers it, whoever it is (RFC 7435); else not at all. Never with credentials.
    Opportunistic,
    /// By STARTTLS, with a valid certificate for the configured name; nothing is sent otherwise.
    Required,
    /// From the first byte, with a valid certificate for the configured name.
    Implicit,
}

impl Tls {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::None, Self::Opportunistic, Self::Required, Self::Implicit];

    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Opportunistic => "opportunistic",
            Self::Required => "required",
            Self::Implicit => "implicit",
        }
    }

    /// Whether it proves to us who the relay is.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::Required | Self::Implicit)
    }
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Tls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| {
            format!("`{text}` is not a kind of protection (one of none, opportunistic, required, implicit)")
        })
    }
}

/// How a user logs in (SASL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mechanism {
    /// PLAIN, or LOGIN where the relay offers no PLAIN.
    #[default]
    Auto,
    /// PLAIN alone (RFC 4616).
    Plain,
    /// LOGIN alone, for relays that know nothing better.
    Login,
    /// An OAuth 2 access token in place of a password, as Google and Microsoft want it.
    Xoauth2,
}

impl Mechanism {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Plain, Self::Login, Self::Xoauth2];

    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Plain => "plain",
            Self::Login => "login",
            Self::Xoauth2 => "xoauth2",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a way to log in (one of auto, plain, login, xoauth2)"))
    }
}

/// The limits of time, one for each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Finding the name and connecting, over all its addresses.
    pub connect: Duration,
    /// The relay's greeting.
    pub greeting: Duration,
    /// The answer to one command, and the TLS handshake.
    pub command: Duration,
    /// Handing over the whole message, before its final dot is out.
    pub transfer: Duration,
    /// The answer to the final dot. Less than ten minutes manufactures duplicates (RFC 5321 section 4.5.3.2.6).
    pub data_done: Duration,
}

impl Timeouts {
    /// The limit of a command when nothing is configured.
    ///
    /// RFC 5321 section 4.5.3.2 advises five minutes, with servers in mind that look up strangers. A relay of
    /// one's own choice answers in seconds or is in trouble, and giving up before the final dot costs a pause,
    /// never a duplicate; so a pass does not hang for long.
    pub const COMMAND: Duration = Duration::from_secs(60);

    /// The limits when a command may take as long as `timeout`; it never shortens the wait after the final dot.
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        Self {
            connect: timeout.min(Duration::from_secs(30)),
            greeting: timeout,
            command: timeout,
            transfer: timeout.max(Duration::from_secs(300)),
            data_done: Duration::from_secs(600),
        }
    }

    /// The limit of everything before the first MAIL: connecting, greeting, TLS and logging in.
    #[must_use]
    pub fn opening(&self) -> Duration {
        self.connect + self.greeting + self.command * 2
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::within(Self::COMMAND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_alone_make_tls_required() {
        let mut options = Options::new("relay.example.org");
        assert_eq!((options.tls(), options.port()), (Tls::Opportunistic, 25));
        options.user = Some("u".into());
        assert_eq!((options.tls(), options.port()), (Tls::Required, 587));
        options.port = Some(465);
        assert_eq!((options.tls(), options.port()), (Tls::Implicit, 465));
        options.tls = Some(Tls::None);
        assert_eq!((options.tls(), options.port()), (Tls::None, 465));
    }

    #[test]
    fn loopback_is_a_name_or_an_address() {
        for (host, loopback) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("127.0.0.9", true),
            ("::1", true),
            ("localhost.example.org", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(Options::new(host).is_loopback(), loopback, "{host}");
        }
    }

    #[test]
    fn a_short_timeout_never_shortens_the_wait_after_the_final_dot() {
        let timeouts = Timeouts::within(Duration::from_secs(2));
        assert_eq!(timeouts.connect, Duration::from_secs(2));
        assert_eq!(timeouts.data_done, Duration::from_secs(600));
    }

    #[test]
    fn one_attempt_is_bounded() {
        assert!(Options::new("h").longest_attempt() < Duration::from_secs(30 * 60));
    }
}
