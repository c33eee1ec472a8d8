//! What a scenario stands on: folders that the bench made, peers on loopback, numbers that can be drawn again.
//!
//! Faults are injected into real programs and real files. So nothing here takes a path or an address from outside, and
//! every configuration is read before notifyctl is: a peer that is not on loopback, or a file outside of the
//! scenario's folder, ends the scenario before anything has run.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use crate::finding::Finding;
use crate::support::Sandbox;

/// How much of a scenario to run.
#[derive(Clone, Copy, PartialEq)]
pub enum Extent {
    /// Seconds, in every test run.
    Short,
    /// Minutes, by hand and before a release.
    Whole,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "short",
            Self::Whole => "whole",
        })
    }
}

/// The ground under one scenario.
pub struct Ground {
    extent: Extent,
    seed: u64,
}

impl Ground {
    /// A ground whose random numbers follow from `seed`.
    pub fn new(extent: Extent, seed: u64) -> Self {
        Self { extent, seed }
    }

    /// How much is asked for.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// What the random numbers follow from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// `short` or `whole`, as the bench was asked.
    pub fn scale<T>(&self, short: T, whole: T) -> T {
        match self.extent {
            Extent::Short => short,
            Extent::Whole => whole,
        }
    }

    /// The scenario's random numbers: the same ones for the same seed.
    pub fn random(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }

    /// A new folder with a store, and the configuration that `config` writes for it.
    ///
    /// # Panics
    /// When the configuration reaches beyond loopback or the folder.
    pub fn sandbox(&self, config: impl FnOnce(&Path) -> String) -> Sandbox {
        Self::furnish(Sandbox::new(), config)
    }

    /// The same within `parent`, a folder that the scenario made (a small disk, say).
    pub fn sandbox_within(&self, parent: &Path, config: impl FnOnce(&Path) -> String) -> Sandbox {
        Self::furnish(Sandbox::within(parent), config)
    }

    fn furnish(sandbox: Sandbox, config: impl FnOnce(&Path) -> String) -> Sandbox {
        let config = config(sandbox.path());
        if let Err(why) = refuse(sandbox.path(), &config) {
            panic!("refused: {why}");
        }
        sandbox.configure(&config);
        sandbox
    }
}

/// Refuses an environment that would point notifyctl at somebody's own store.
pub fn refuse_inherited(mut variables: impl Iterator<Item = (OsString, OsString)>) -> Result<(), String> {
    let setting =
        |name: &OsString| name != "NOTIFYCTL_BLESS" && name.to_string_lossy().starts_with("NOTIFYCTL_");
    match variables.find(|(name, _)| setting(name)) {
        Some((name, _)) => Err(format!(
            "{} is set: the bench breaks only what it made itself, so it takes no settings from outside; unset it",
            name.display()
        )),
        None => Ok(()),
    }
}

/// Refuses a configuration that names a host beyond loopback, or a file outside of `folder`.
fn refuse(folder: &Path, config: &str) -> Result<(), String> {
    let table: toml::Table = config.parse().map_err(|error| format!("the configuration: {error}"))?;
    table.iter().try_for_each(|(key, value)| refuse_value(folder, key, value))
}

fn refuse_value(folder: &Path, key: &str, value: &toml::Value) -> Result<(), String> {
    match value {
        toml::Value::Table(table) => {
            table.iter().try_for_each(|(key, value)| refuse_value(folder, key, value))
        }
        // A program is only started, and reads what it is given.
        toml::Value::Array(_) if key == "command" => Ok(()),
        toml::Value::Array(items) => items.iter().try_for_each(|item| refuse_value(folder, key, item)),
        toml::Value::String(text) if key == "host" => refuse_host(key, text),
        toml::Value::String(text) if text.starts_with('/') => match Path::new(text).starts_with(folder) {
            true => Ok(()),
            false => Err(format!("{key} = {text:?} lies outside of {}", folder.display())),
        },
        toml::Value::String(text) => match url::Url::parse(text).ok().as_ref().and_then(url::Url::host_str) {
            Some(host) => refuse_host(key, host),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Only a literal address will do: a name is what a resolver makes of it.
fn refuse_host(key: &str, host: &str) -> Result<(), String> {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => Ok(()),
        _ => Err(format!("{key} names {host:?}, which is no loopback address")),
    }
}

/// Shows that the bench refuses what it must not touch.
pub fn scenario(_: &Ground) -> Vec<Finding> {
    let folder = Path::new("/tmp/made-here");
    let beyond = [
        "[channels.a]\nhost = \"192.0.2.1\"",
        "[channels.a]\nhost = \"mail.example.org\"",
        "[channels.a]\nhost = \"localhost\"",
        "[channels.a]\nurl = \"https://hooks.example.org/x\"",
        "[channels.a]\nurl = \"http://[2001:db8::1]/\"",
        "[channels.a]\npath = \"/var/mail/root\"",
        "[channels.a]\npath = \"/tmp/made-here-not\"",
        "[channels.a.tls]\nca_file = \"/etc/ssl/x.pem\"",
    ];
    let ours = [
        "[channels.a]\nhost = \"127.0.0.1\"",
        "[channels.a]\nhost = \"::1\"",
        "[channels.a]\nurl = \"http://127.0.0.1:8080/x\"",
        "[channels.a]\npath = \"/tmp/made-here/outbox\"",
        "[channels.a]\ncommand = [\"/bin/cat\"]",
    ];
    let let_through = beyond.iter().filter(|config| refuse(folder, config).is_ok()).count();
    let refused = ours.iter().filter(|config| refuse(folder, config).is_err()).count();
    let inherited = [("NOTIFYCTL_CONFIG".into(), "/etc/notifyctl/notifyctl.toml".into())];
    vec![
        Finding::none("hosts and files of others let through", let_through as u64),
        Finding::none(
            "a setting from outside let through",
            u64::from(refuse_inherited(inherited.into_iter()).is_ok()),
        ),
        Finding::none("loopback and own files refused", refused as u64),
    ]
}
