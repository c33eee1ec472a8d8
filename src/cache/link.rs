//! The one connection to Redis: made, bounded in time, and dropped at the first trouble.
//!
//! Not the manager of the `redis` crate: that one reconnects where calls wait for it, for seconds. Here a call on a
//! connection that does not stand fails at once, and connecting is for those who have the time.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::breaker::Breaker;
use super::{Options, Way};
use crate::tls::Trust;

/// The longest time for connecting: nobody's answer waits for it.
const CONNECT: Duration = Duration::from_secs(1);

/// Why a call came to nothing. Never holds what was asked or answered, nor a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Redis is left alone for a few seconds, after failures; or no connection stands.
    #[error("left alone after failures")]
    Skipped,
    /// No answer in time.
    #[error("no answer in time")]
    Silent,
    /// The connection could not be made, or broke.
    #[error("connection: {0}")]
    Connection(String),
    /// Redis refused: the word that its answer begins with.
    #[error("refused: {0}")]
    Refused(String),
    /// What came is no answer to what was asked.
    #[error("nonsense for an answer")]
    Nonsense,
}

/// The way to Redis.
pub(super) struct Link {
    options: Options,
    trust: Trust,
    breaker: Breaker,
    standing: Mutex<Option<Standing>>,
}

struct Standing {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    pub(super) fn new(options: Options) -> Result<Self, String> {
        let trust = Trust::new(options.ca_file.as_deref())?;
        let breaker = Breaker::new(options.pause);
        Ok(Self { options, trust, breaker, standing: Mutex::new(None) })
    }

    /// Whether a connection stands, as far as is known.
    pub(super) fn stands(&self) -> bool {
        self.standing().is_some()
    }

    /// Whether Redis is asked at all.
    pub(super) fn is_closed(&self) -> bool {
        self.breaker.is_closed()
    }

    /// Makes one call, within the time for one, on the connection that stands.
    pub(super) async fn call<T, F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let connection = self.standing().as_ref().map(|standing| standing.connection.clone());
        let Some(connection) = connection.filter(|_| self.breaker.admits()) else {
            return Err(Failure::Skipped);
        };
        let answer = timeout(self.options.timeout, call(connection)).await;
        self.judge(
            answer.map_err(|_| Failure::Silent).and_then(|answer| answer.map_err(|error| plain(&error))),
        )
    }

    /// Sees to it that a connection stands.
    pub(super) async fn connect(&self) -> Result<(), Failure> {
        if self.stands() {
            return Ok(());
        }
        if !self.breaker.admits() {
            return Err(Failure::Skipped);
        }
        // A command may take seconds to give the password; it is no part of Redis's time.
        let password = match self.options.password.clone() {
            None => None,
            Some(source) => {
                let read = tokio::task::spawn_blocking(move || source.read()).await;
                let read = read.map_err(|error| error.to_string());
                let read = read.and_then(|read| read.map_err(|error| error.to_string()));
                // That it is known says nothing of Redis: as an answer it would end each pause.
                Some(read.map_err(Failure::Connection).inspect_err(|_| self.breaker.failed())?)
            }
        };
        let mut login =
            RedisConnectionInfo::default().set_db(self.options.place.db.into()).set_skip_set_lib_name();
        if let Some(user) = &self.options.user {
            login = login.set_username(user);
        }
        if let Some(password) = &password {
            login = login.set_password(password.expose_secret());
        }
        let made = timeout(CONNECT, self.make(&login)).await;
        let standing = made.map_err(|_| Failure::Silent).and_then(|made| made);
        let standing = standing.inspect_err(|_| self.breaker.failed())?;
        *self.standing() = Some(standing);
        self.breaker.connected();
        Ok(())
    }

    async fn make(&self, login: &RedisConnectionInfo) -> Result<Standing, Failure> {
        let io = |error: io::Error| Failure::Connection(error.to_string());
        match &self.options.place.way {
            Way::Unix(path) => greet(login, UnixStream::connect(path).await.map_err(io)?).await,
            Way::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(io)?;
                stream.set_nodelay(true).map_err(io)?;
                if !tls {
                    return greet(login, stream).await;
                }
                let connector = self.trust.verifying().map_err(Failure::Connection)?;
                let name = ServerName::try_from(host.clone())
                    .map_err(|_| Failure::Connection("its name cannot be in a certificate".into()))?;
                let connected = connector.connect(name, stream).await;
                greet(login, connected.inspect_err(|error| self.trust.failed(error)).map_err(io)?).await
            }
        }
    }

    /// One failure is enough to drop the connection: it may hang in a way that only a new one gets out of.
    fn judge<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        match &answer {
            Ok(_) => self.breaker.answered(),
            Err(Failure::Skipped) => {}
            Err(_) => {
                self.breaker.failed();
                self.standing().take();
            }
        }
        answer
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, Option<Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn greet<S>(login: &RedisConnectionInfo, stream: S) -> Result<Standing, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    // The greeting is answered by the driver, which runs only once it is a task.
    let (connection, driver) =
        MultiplexedConnection::new_with_config(login, stream, config).await.map_err(|error| plain(&error))?;
    Ok(Standing { connection, driver: tokio::spawn(driver).abort_handle() })
}

/// What Redis said, without its words: they may quote what was sent.
fn plain(error: &RedisError) -> Failure {
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Failure::Nonsense,
        ErrorKind::Io => Failure::Connection("broke".into()),
        ErrorKind::AuthenticationFailed => {
            Failure::Refused("user or password, or one of them is missing (user, password_file)".into())
        }
        _ => {
            let word = error.code().unwrap_or("ERR");
            let word = word.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
            Failure::Refused(word)
        }
    }
}
