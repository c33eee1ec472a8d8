//! From nothing to a connection that is ready for MAIL: connect, greeting, EHLO, STARTTLS, AUTH.
//!
//! Whatever goes wrong here is the channel's trouble: of a notification nothing has been said yet.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::{Auth, Ehlo, Starttls};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::classify::{Stage, refusal, silence};
use super::login::Login;
use super::options::{Timeouts, Tls};
use super::reply::{Broken, Features, Reply};
use super::session::Session;
use super::wire::Wire;
use crate::model::{Reason, Verdict};
use crate::tls::Trust;

/// The most parts of one login: LOGIN has three.
const LOGIN_STEPS: usize = 5;

/// How connections of one channel are opened.
pub struct Opener {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub trust: Trust,
    /// The name that a certificate must be for.
    pub name: ServerName<'static>,
    pub login: Option<Login>,
    /// What we greet with; `None` where the host has no name that a relay would take.
    pub hello: Option<String>,
    pub timeouts: Timeouts,
}

/// Why a connection did not come about.
enum Trouble {
    /// The channel's trouble.
    Verdict(Verdict),
    /// TLS that nobody insisted on; the same relay may be reached without.
    TlsFailed(String),
}

impl From<Verdict> for Trouble {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl Opener {
    /// Opens a connection.
    ///
    /// # Errors
    /// A verdict: the channel's trouble.
    pub async fn open(&self) -> Result<Session, Verdict> {
        let opened = match self.open_with(self.tls).await {
            // RFC 7435 section 3: a failure of what is only opportunistic leaves cleartext, as it was before.
            Err(Trouble::TlsFailed(why)) => {
                log::debug!("{}: TLS failed and is not required, going on without: {why}", self.host);
                self.open_with(Tls::None).await
            }
            opened => opened,
        };
        opened.map_err(|trouble| match trouble {
            Trouble::Verdict(verdict) => verdict,
            Trouble::TlsFailed(why) => tls_trouble(&why),
        })
    }

    async fn open_with(&self, tls: Tls) -> Result<Session, Trouble> {
        let limit = self.timeouts.opening();
        match timeout(limit, self.steps(tls)).await {
            Ok(result) => result,
            // Each phase has kept to its own limit.
            Err(_) => {
                let why = format!("connect to {}: not ready for mail within {limit:?}", self.place());
                Err(Verdict::channel_trouble(Reason::Timeout, &why).into())
            }
        }
    }

    async fn steps(&self, tls: Tls) -> Result<Session, Trouble> {
        let stream = self.connect().await?;
        let hello = self.client_id(&stream);
        let mut session = Session::new(Wire::new(stream));
        if tls == Tls::Implicit {
            self.handshake(&mut session.wire, tls).await?;
        }
        self.greet(&mut session, &hello).await?;
        if matches!(tls, Tls::Required | Tls::Opportunistic) {
            self.start_tls(&mut session, tls, &hello).await?;
        }
        if let Some(login) = &self.login {
            self.log_in(&mut session, login, tls).await?;
        }
        Ok(session)
    }

    /// Connects to the first address that answers; each gets its share of the time that is left.
    async fn connect(&self) -> Result<TcpStream, Verdict> {
        let limit = self.timeouts.connect;
        let place = self.place();
        let trouble =
            |reason, why: &str| Verdict::channel_trouble(reason, &format!("connect to {place}: {why}"));
        let too_long = || trouble(Reason::Timeout, &format!("no answer within {limit:?}"));
        let end = tokio::time::Instant::now() + limit;
        let found = tokio::time::timeout_at(end, lookup_host((self.host.as_str(), self.port)));
        let addresses: Vec<SocketAddr> = match found.await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => return Err(trouble(Reason::Unreachable, &error.to_string())),
            Err(_) => return Err(too_long()),
        };
        let mut last = trouble(Reason::Unreachable, "the name has no address");
        for (tried, address) in addresses.iter().enumerate() {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without it every message waits for a delayed acknowledgement: 44 ms.
                    stream
                        .set_nodelay(true)
                        .map_err(|error| trouble(Reason::LocalError, &error.to_string()))?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = trouble(Reason::Unreachable, &error.to_string()),
                Err(_) => last = too_long(),
            }
        }
        Err(last)
    }

    fn place(&self) -> String {
        format!("{} port {}", self.host, self.port)
    }

    /// RFC 5321 section 4.1.4: a name that means something to the relay, else our address.
    fn client_id(&self, stream: &TcpStream) -> ClientId {
        match (&self.hello, stream.local_addr().map(|address| address.ip())) {
            (Some(name), _) => ClientId::Domain(name.clone()),
            (None, Ok(IpAddr::V4(address))) => ClientId::Ipv4(address),
            (None, Ok(IpAddr::V6(address))) => match address.to_ipv4_mapped() {
                Some(address) => ClientId::Ipv4(address),
                None => ClientId::Ipv6(address),
            },
            (None, Err(_)) => ClientId::default(),
        }
    }

    /// Waits for the greeting, and says EHLO.
    async fn greet(&self, session: &mut Session, hello: &ClientId) -> Result<(), Verdict> {
        match session.reply(self.timeouts.greeting).await {
            Ok(reply) if reply.code / 100 == 2 => self.say_hello(session, hello).await,
            Ok(reply) => Err(refusal(Stage::Greeting, &reply)),
            Err(broken) => Err(silence(Stage::Greeting, &broken)),
        }
    }

    async fn say_hello(&self, session: &mut Session, hello: &ClientId) -> Result<(), Verdict> {
        match session.command(Ehlo::new(hello.clone()), self.timeouts.command).await {
            Ok(reply) if reply.code / 100 == 2 => {
                session.features = Features::read(&reply);
                Ok(())
            }
            Ok(reply) => Err(refusal(Stage::Ehlo, &reply)),
            Err(broken) => Err(silence(Stage::Ehlo, &broken)),
        }
    }

    async fn start_tls(&self, session: &mut Session, tls: Tls, hello: &ClientId) -> Result<(), Trouble> {
        let required = tls == Tls::Required;
        let limit = self.timeouts.command;
        if !session.features.starttls {
            return match required {
                true => Err(tls_trouble("the relay does not offer STARTTLS").into()),
                false => Ok(()),
            };
        }
        match session.command(Starttls, limit).await {
            Ok(reply) if reply.code == 220 => {}
            Ok(reply) if required || reply.code == 421 => return Err(refusal(Stage::StartTls, &reply).into()),
            Ok(_) => return Ok(()),
            Err(broken) => return Err(silence(Stage::StartTls, &broken).into()),
        }
        self.handshake(&mut session.wire, tls).await?;
        // What was offered before TLS may have been anybody's (RFC 3207 section 4.2).
        self.say_hello(session, hello).await.map_err(Trouble::from)
    }

    async fn handshake(&self, wire: &mut Wire, tls: Tls) -> Result<(), Trouble> {
        let connector = match tls.verifies() {
            true => self.trust.verifying(),
            false => self.trust.anybody(),
        }
        .map_err(|why| tls_trouble(&why))?;
        let limit = self.timeouts.command;
        let why = match timeout(limit, wire.start_tls(&connector, self.name.clone())).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => {
                self.trust.failed(&error);
                error.to_string()
            }
            Err(_) => format!("no answer within {limit:?}"),
        };
        match tls.verifies() {
            true => Err(tls_trouble(&format!("TLS with {}: {why}", self.host)).into()),
            false => Err(Trouble::TlsFailed(why)),
        }
    }

    async fn log_in(&self, session: &mut Session, login: &Login, tls: Tls) -> Result<(), Verdict> {
        // The options allow no other combination; a name may still lead elsewhere than it says.
        let is_here = || session.wire.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
        if !tls.verifies() && !is_here() {
            return Err(tls_trouble("a password is not sent to another host without verified TLS"));
        }
        let refused = |why: &str| Verdict::channel_trouble(Reason::Credentials, &format!("AUTH: {why}"));
        let mechanism = login
            .choose(&session.features.auth)
            .ok_or_else(|| refused("the relay offers no way to log in that is configured"))?;
        let (credentials, said) = login.credentials().await.map_err(|why| refused(&why))?;
        session.said = said;
        match dialogue(session, mechanism, credentials, self.timeouts.command).await {
            Ok(reply) if reply.code / 100 == 2 => Ok(()),
            Ok(reply) => {
                login.forget();
                Err(refusal(Stage::Auth, &reply))
            }
            Err(broken) => Err(silence(Stage::Auth, &broken)),
        }
    }
}

/// The parts of one login, until the relay says yes or no.
async fn dialogue(
    session: &mut Session,
    mechanism: Mechanism,
    credentials: Credentials,
    limit: Duration,
) -> Result<Reply, Broken> {
    let garbled = |error: lettre::transport::smtp::Error| Broken::Garbled(error.to_string());
    let first = Auth::new(mechanism, credentials.clone(), None).map_err(garbled)?;
    let mut reply = session.command(first, limit).await?;
    for _ in 0..LOGIN_STEPS {
        if reply.code != 334 {
            return Ok(reply);
        }
        reply = match mechanism {
            Mechanism::Login => {
                let challenge: Response =
                    format!("334 {}\r\n", reply.text().trim()).parse().map_err(garbled)?;
                let next =
                    Auth::new_from_response(mechanism, credentials.clone(), &challenge).map_err(garbled)?;
                session.command(next, limit).await?
            }
            // Everything was said at once. What comes now is XOAUTH2's account of what is wrong; an empty line
            // asks for the refusal itself.
            _ => session.command("\r\n", limit).await?,
        };
    }
    Err(Broken::Garbled("the login does not end".into()))
}

fn tls_trouble(why: &str) -> Verdict {
    Verdict::channel_trouble(Reason::Tls, why)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};

    use super::*;
    use crate::channel::smtp::options::Mechanism;
    use crate::secret::{SecretString, Source};

    /// A relay that offers a login and says yes to everything; gives back all that it was told.
    fn relay(listener: std::net::TcpListener) -> std::thread::JoinHandle<Vec<String>> {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut told = Vec::new();
            stream.write_all(b"220 relay\r\n").unwrap();
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let Ok(line) = line else { break };
                let said: &[u8] =
                    if line.starts_with("EHLO") { b"250-relay\r\n250 AUTH PLAIN\r\n" } else { b"235 ok\r\n" };
                told.push(line);
                if stream.write_all(said).is_err() {
                    break;
                }
            }
            told
        })
    }

    #[tokio::test]
    async fn a_password_is_not_said_in_clear_to_an_address_that_is_not_the_loopbacks() {
        let password = Source::Inline(SecretString::from("s3cret"));
        // The second leads to a listener on this host as well, on every host, and is not the loopback's own: it
        // stands for a name that leads elsewhere than it says.
        for (host, logs_in) in [("127.0.0.1", true), ("::ffff:127.0.0.1", false)] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let relay = relay(listener);
            let opener = Opener {
                host: host.into(),
                port,
                tls: Tls::None,
                trust: Trust::new(None).unwrap(),
                name: ServerName::try_from("localhost").unwrap(),
                login: Some(Login::new("u".into(), password.clone(), Mechanism::Auto).unwrap()),
                hello: Some("localhost".into()),
                timeouts: Timeouts::within(Duration::from_secs(5)),
            };
            let opened = opener.open().await;
            assert_eq!(
                opened.as_ref().err().map(|verdict| verdict.reason),
                (!logs_in).then_some(Reason::Tls)
            );
            drop(opened);
            let told = relay.join().unwrap();
            assert_eq!(told.iter().any(|line| line.starts_with("AUTH")), logs_in, "{host}: {told:?}");
        }
    }
}
