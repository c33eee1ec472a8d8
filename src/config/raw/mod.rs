//! The configuration as it stands in TOML: every table and key that there is, with its default.
//!
//! What is `None` here has no default, or one that depends on other keys; `build` fills those in.
//! Nothing is flattened: that would switch `deny_unknown_fields` off.

mod cache;
mod value;
mod word;

use std::collections::BTreeMap;
use std::time::Duration;

use log::LevelFilter;
use serde::{Deserialize, Serialize};

pub use cache::Cache;
pub use value::{Number, OneOrMany, REDACTED, Secret, Switch, Word};
pub use word::{AbsolutePath, Level, Sender};

use super::{Keep, LocalTime, LogFormat, Role};
use crate::channel::file::Format;
use crate::channel::smtp::{Mechanism, Tls};
use crate::channel::{Kind, exec, webhook};
use crate::http::{self, Allowance, Grant, Listen, Origin, Proxy};
use crate::model::{Limits, OnUnknown, Rate, RetrySchedule};
use crate::store::StoreUrl;
use crate::units::{Period, Size};

/// `[store]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    pub url: Option<Word<StoreUrl>>,
    pub busy_timeout: Period,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: None, busy_timeout: Period(Duration::from_secs(5)) }
    }
}

/// `[defaults]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    pub channel: String,
    pub key_window: Period,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Period>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { channel: super::OUTBOX.into(), key_window: Period(Duration::from_secs(86_400)), ttl: None }
    }
}

/// `[limits]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageLimits {
    pub message: Size,
    pub attachments: Size,
}

impl Default for MessageLimits {
    fn default() -> Self {
        let Limits { message, attachments } = Limits::default();
        Self { message: Size(message), attachments: Size(attachments) }
    }
}

/// `[log]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub level: Word<Level>,
    pub format: Word<LogFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Word<AbsolutePath>>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Word(Level(LevelFilter::Warn)), format: Word(LogFormat::default()), file: None }
    }
}

/// `[daemon]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Daemon {
    pub roles: OneOrMany<Word<Role>>,
    pub drain: Period,
}

impl Default for Daemon {
    fn default() -> Self {
        // Supervisors kill ten seconds after their signal unless they are told otherwise.
        Self { roles: OneOrMany(Role::ALL.map(Word).to_vec()), drain: Period(Duration::from_secs(8)) }
    }
}

/// `[http]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub listen: Word<Listen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<Word<AbsolutePath>>,
    pub loopback_without_token: Switch,
    pub socket_users: OneOrMany<Word<Grant>>,
    pub socket_groups: OneOrMany<Word<Grant>>,
    pub proxies: OneOrMany<Word<Proxy>>,
    pub token_limit: Word<Allowance>,
    pub address_limit: Word<Allowance>,
    pub cors_origins: OneOrMany<Word<Origin>>,
    pub max_body: Size,
    pub max_connections: Number<usize>,
    pub max_pending: Number<u64>,
}

impl Default for Http {
    fn default() -> Self {
        let http::Options { listen, loopback_without_token, max_connections, admission, .. } =
            http::Options::default();
        let http::Admission { token_limit, address_limit, max_body, max_pending, .. } = admission;
        Self {
            socket_users: OneOrMany::default(),
            socket_groups: OneOrMany::default(),
            proxies: OneOrMany::default(),
            token_limit: Word(Allowance(token_limit)),
            address_limit: Word(Allowance(address_limit)),
            cors_origins: OneOrMany::default(),
            listen: Word(listen),
            socket: None,
            loopback_without_token: Switch(loopback_without_token),
            max_body: Size(max_body),
            max_connections: Number(max_connections),
            max_pending: Number(max_pending),
        }
    }
}

/// `[retention]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    pub sent: Word<Keep>,
    pub dead: Word<Keep>,
    pub expired: Word<Keep>,
    pub cancelled: Word<Keep>,
    pub at: Word<LocalTime>,
}

impl Default for Retention {
    fn default() -> Self {
        let month = Word(Keep::For(Duration::from_secs(30 * 86_400)));
        // Somebody has to see the dead ones first.
        Self {
            sent: month,
            dead: Word(Keep::Always),
            expired: month,
            cancelled: month,
            at: Word(LocalTime::TWO),
        }
    }
}

impl Retention {
    /// What it means.
    pub fn built(&self) -> super::Retention {
        super::Retention {
            sent: self.sent.0,
            dead: self.dead.0,
            expired: self.expired.0,
            cancelled: self.cancelled.0,
            at: self.at.0,
        }
    }
}

/// `[backup]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Word<AbsolutePath>>,
    pub at: Word<LocalTime>,
    pub keep: Number<usize>,
}

impl Default for Backup {
    fn default() -> Self {
        Self { to: None, at: Word(LocalTime::TWO), keep: Number(7) }
    }
}

/// What every `[channels.NAME]` may hold.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Common {
    pub kind: Option<Word<Kind>>,
    #[serde(skip_serializing_if = "is_empty")]
    pub to: OneOrMany<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub rate: OneOrMany<Word<Rate>>,
    pub max_in_flight: Option<Number<usize>>,
    pub retry: Option<Word<RetrySchedule>>,
    pub give_up_after: Option<Period>,
    pub on_unknown: Option<Word<OnUnknown>>,
    pub timeout: Option<Period>,
}

fn is_empty<T>(list: &OneOrMany<T>) -> bool {
    list.0.is_empty()
}

/// What a channel of one kind may hold besides.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum OfKind {
    Smtp(Smtp),
    Webhook(Webhook),
    Exec(Exec),
    File(File),
}

/// Keys of kind `smtp`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    pub host: Option<String>,
    pub port: Option<Number<u16>>,
    pub tls: Option<Word<Tls>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Word<AbsolutePath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub auth: Option<Word<Mechanism>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<Word<AbsolutePath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_credential: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Word<Sender>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hello: Option<String>,
}

/// Keys of kind `webhook`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<Word<AbsolutePath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_credential: Option<String>,
    pub method: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_file: Option<Word<AbsolutePath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets_file: Option<Word<AbsolutePath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Word<AbsolutePath>>,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            url_command: None,
            url_credential: None,
            method: webhook::Options::METHOD.to_owned(),
            headers: BTreeMap::new(),
            content_type: None,
            body: None,
            body_file: None,
            secrets_file: None,
            ca_file: None,
        }
    }
}

/// Keys of kind `exec`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exec {
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    pub kill_after: Period,
}

impl Default for Exec {
    fn default() -> Self {
        Self { command: Vec::new(), env: BTreeMap::new(), kill_after: Period(exec::Options::KILL_AFTER) }
    }
}

/// Keys of kind `file`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    pub path: Option<Word<AbsolutePath>>,
    pub format: Word<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Word<Sender>>,
}

impl Default for File {
    fn default() -> Self {
        Self { path: None, format: Word(Format::default()), from: None }
    }
}
