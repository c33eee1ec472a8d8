//! Where Redis is, who logs in there, and for how long what is kept.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::secret::Source;
use crate::tls::Trust;

/// How a cache is reached and kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where Redis is.
    pub place: Place,
    /// Certificates (PEM) of a private authority, trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Who logs in (an ACL user); `None` for the default one.
    pub user: Option<String>,
    /// The password, read whenever a connection is made.
    pub password: Option<Source>,
    /// How long what is settled is kept.
    pub result_ttl: Duration,
    /// How old an answer may be: the longest time since the store was seen to hold nothing newer.
    pub max_age: Duration,
    /// How long one call to Redis may take.
    pub timeout: Duration,
    /// For how long Redis is left alone after three failures in a row.
    pub pause: Duration,
    /// The file of the store, in which two copies of one store differ.
    pub database: PathBuf,
    /// What values are sealed with lies here; made anew when nobody uses it.
    pub key_file: PathBuf,
}

impl Options {
    /// How long what is settled is kept, unless configured.
    pub const RESULT_TTL: Duration = Duration::from_secs(3_600);
    /// How old an answer may be, unless configured.
    pub const MAX_AGE: Duration = Duration::from_millis(250);
    /// How long one call may take, unless configured.
    pub const TIMEOUT: Duration = Duration::from_millis(60);
    /// For how long Redis is left alone.
    pub const PAUSE: Duration = Duration::from_secs(5);

    /// What would keep a daemon from using it, each with its key; reads secrets and certificates, and connects nowhere.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let tls = matches!(self.place.way, Way::Tcp { tls: true, .. });
        let trust = Trust::new(self.ca_file.as_deref());
        let trust = trust.and_then(|trust| if tls { trust.verifying().map(drop) } else { Ok(()) });
        let password = self.password.as_ref().map_or(Ok(()), |source| source.read().map(drop));
        let trust = trust.err().map(|what| ("ca_file", what));
        trust.into_iter().chain(password.err().map(|error| ("password", error.to_string()))).collect()
    }
}

/// Where a Redis is: `redis://HOST:PORT/DB`, `rediss://HOST:PORT/DB` (TLS) or `unix:///PATH?db=DB`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// How it is connected to.
    pub way: Way,
    /// The number of the database.
    pub db: u32,
}

/// How a Redis is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// TCP.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// Whether TLS is spoken, by the first byte.
        tls: bool,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// Redis's own port.
const PORT: u16 = 6379;

impl FromStr for Place {
    type Err = String;

    /// Never quotes the text: somebody may have put a password in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "is not a place like \"redis://127.0.0.1:6379/0\", \"rediss://HOST\" or \"unix:///PATH\"";
        let url = Url::parse(text).map_err(|_| form.to_owned())?;
        if url.password().is_some() || !url.username().is_empty() {
            return Err("names a user or a password; set `user` and `password_file` in place of it".into());
        }
        let (mut db, tls) = (String::new(), url.scheme() == "rediss");
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" if url.scheme() == "unix" => db = value.into_owned(),
                _ => return Err("has parameters that are not known; settings have keys of their own".into()),
            }
        }
        let way = match url.scheme() {
            "redis" | "rediss" => {
                let host = url.host_str().filter(|host| !host.is_empty()).ok_or(form)?;
                db = url.path().trim_start_matches('/').to_owned();
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Way::Tcp { host, port: url.port().unwrap_or(PORT), tls }
            }
            "unix" if url.path().len() > 1 => Way::Unix(url.path().into()),
            _ => return Err(form.into()),
        };
        let db = match &*db {
            "" => 0,
            number => number.parse().map_err(|_| "names a database that is not a number".to_owned())?,
        };
        Ok(Self { way, db })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let db = self.db;
        match &self.way {
            Way::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                write!(f, "{scheme}://{host}:{port}/{db}")
            }
            Way::Unix(path) => write!(f, "unix://{}?db={db}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written_in_the_same_words() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://127.0.0.1:6380/2", "redis://127.0.0.1:6380/2"),
            ("rediss://cache.example.org/", "rediss://cache.example.org:6379/0"),
            ("redis://[::1]:7000/1", "redis://[::1]:7000/1"),
            ("unix:///run/redis.sock?db=3", "unix:///run/redis.sock?db=3"),
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), shown);
            assert_eq!(shown.parse::<Place>().unwrap(), place);
        }
    }

    #[test]
    fn what_is_no_place_is_refused_and_not_quoted() {
        for text in [
            "",
            "hunter2",
            "redis://",
            "http://hunter2",
            "redis://:hunter2@localhost",
            "redis://u:hunter2@localhost",
            "redis://localhost/hunter2",
            "redis://localhost?protocol=hunter2",
            "unix://hunter2",
            "redis://localhost:hunter2",
        ] {
            let why = text.parse::<Place>().unwrap_err();
            assert!(!why.contains("hunter2"), "{text}: {why}");
        }
    }
}
