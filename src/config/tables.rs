//! The whole tree as typed tables; a channel's kind decides which keys it may hold.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::document::{About, Document};
use super::raw::{self, OfKind, Word};
use super::{Error, OUTBOX, TABLES, keys};
use crate::channel::Kind;

/// Every table, as it stands in the document.
#[derive(Debug)]
pub struct Tables {
    /// `[store]`
    pub store: raw::Store,
    /// `[defaults]`
    pub defaults: raw::Defaults,
    /// `[limits]`
    pub limits: raw::MessageLimits,
    /// `[log]`
    pub log: raw::Log,
    /// `[daemon]`
    pub daemon: raw::Daemon,
    /// `[http]`
    pub http: raw::Http,
    /// `[retention]`
    pub retention: raw::Retention,
    /// `[backup]`
    pub backup: raw::Backup,
    /// `[cache]`
    pub cache: raw::Cache,
    /// `[channels.NAME]`, by name; `outbox` is always there.
    pub channels: BTreeMap<String, Channel>,
}

/// One `[channels.NAME]`.
#[derive(Debug)]
pub struct Channel {
    /// What every kind has.
    pub common: raw::Common,
    /// What its kind has besides.
    pub of_kind: OfKind,
}

/// The longest name of a channel, in bytes.
const NAME: usize = 64;

impl Tables {
    /// Reads every table of the document.
    ///
    /// # Errors
    /// The first thing that is unknown, or of another type than it should be.
    pub fn read(document: &Document) -> Result<Self, Error> {
        let mut tree = document.tree()?;
        let top = About { name: "", place: "the configuration", also: &[] };
        if let Some(key) = tree.keys().find(|key| !TABLES.contains(&key.get_ref().as_ref())) {
            return Err(document.unknown(&top, key, &TABLES));
        }
        let about = |name, place| About { name, place, also: &[] };
        let store = document.read(&about("store", "[store]"), tree.remove("store"))?;
        let defaults = document.read(&about("defaults", "[defaults]"), tree.remove("defaults"))?;
        let limits = document.read(&about("limits", "[limits]"), tree.remove("limits"))?;
        let log = document.read(&about("log", "[log]"), tree.remove("log"))?;
        let daemon = document.read(&about("daemon", "[daemon]"), tree.remove("daemon"))?;
        let http = document.read(&about("http", "[http]"), tree.remove("http"))?;
        let retention = document.read(&about("retention", "[retention]"), tree.remove("retention"))?;
        let backup = document.read(&about("backup", "[backup]"), tree.remove("backup"))?;
        let cache = document.read(&about("cache", "[cache]"), tree.remove("cache"))?;
        let mut channels = BTreeMap::new();
        if let Some(value) = tree.remove("channels") {
            document.table("channels", &value)?;
            if let DeValue::Table(table) = value.into_inner() {
                for (name, value) in table {
                    channels.insert(name.get_ref().to_string(), channel(document, &name, value)?);
                }
            }
        }
        channels.entry(OUTBOX.to_owned()).or_insert_with(|| Channel {
            common: raw::Common { kind: Some(Word(Kind::File)), ..raw::Common::default() },
            of_kind: OfKind::File(raw::File::default()),
        });
        Ok(Self { store, defaults, limits, log, daemon, http, retention, backup, cache, channels })
    }
}

fn channel(
    document: &Document,
    name: &Spanned<DeString<'_>>,
    value: Spanned<DeValue<'_>>,
) -> Result<Channel, Error> {
    let name = name.get_ref().as_ref();
    let path = ["channels", name];
    if !is_name(name) {
        let what = format!(
            "a channel's name is 1 to {NAME} letters, digits, `-`, `_` and `.`, a letter or digit first"
        );
        return Err(document.error(&path, &what));
    }
    let full = format!("channels.{name}");
    document.table(&full, &value)?;
    let (common, rest) = split(value);
    let about = About { name: &full, place: "a channel", also: &[] };
    let mut common: raw::Common = document.read(&about, Some(common))?;
    let kind = match (&common.kind, name) {
        (Some(Word(kind)), _) => *kind,
        (None, OUTBOX) => Kind::File,
        (None, _) => {
            let what = "kind is missing (one of smtp, webhook, exec, file)";
            return Err(document.error(&path, what));
        }
    };
    common.kind = Some(Word(kind));
    let place = format!("a channel of kind {kind}");
    let about = About { name: &full, place: &place, also: keys::of::<raw::Common>() };
    let of_kind = match kind {
        Kind::Smtp => OfKind::Smtp(document.read(&about, Some(rest))?),
        Kind::Webhook => OfKind::Webhook(document.read(&about, Some(rest))?),
        Kind::Exec => OfKind::Exec(document.read(&about, Some(rest))?),
        Kind::File => OfKind::File(document.read(&about, Some(rest))?),
    };
    Ok(Channel { common, of_kind })
}

/// A name that fits on a command line, in a log line and in a file's name.
fn is_name(name: &str) -> bool {
    name.len() <= NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The keys that every kind has, and the others.
fn split(value: Spanned<DeValue<'_>>) -> (Spanned<DeValue<'_>>, Spanned<DeValue<'_>>) {
    let span = value.span();
    let known = keys::of::<raw::Common>();
    let (common, rest): (DeTable<'_>, DeTable<'_>) = match value.into_inner() {
        DeValue::Table(table) => {
            let (common, rest): (Vec<_>, Vec<_>) =
                table.into_iter().partition(|(key, _)| known.contains(&key.get_ref().as_ref()));
            (common.into_iter().collect(), rest.into_iter().collect())
        }
        _ => (DeTable::new(), DeTable::new()),
    };
    (Spanned::new(span.clone(), DeValue::Table(common)), Spanned::new(span, DeValue::Table(rest)))
}
