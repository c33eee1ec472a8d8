//! Every key with the value that holds and where it comes from, for people and for programs; no secrets.

use std::path::PathBuf;

use serde::Serialize;

use super::Error;
use super::build::build;
use super::document::{Origin, join};
use super::raw::REDACTED;
use super::surroundings::Surroundings;
use super::tables::Tables;

/// Every key that has a value.
#[derive(Debug)]
pub struct Effective {
    /// The file that was read; `None` when there is none.
    pub file: Option<PathBuf>,
    /// The keys, ordered by table and then by name, but for `kind`, which comes first.
    pub entries: Vec<Entry>,
}

/// One key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The table that it stands in: `["channels", "relay"]`.
    pub table: Vec<String>,
    /// Its name.
    pub key: String,
    /// The value that holds; `"[redacted]"` for a secret.
    pub value: toml::Value,
    /// Where it comes from.
    pub origin: Origin,
}

impl Entry {
    /// The table's name as TOML writes it.
    #[must_use]
    pub fn heading(&self) -> String {
        join(self.table.iter().map(String::as_str))
    }

    /// The key's path as TOML writes it.
    #[must_use]
    pub fn path(&self) -> String {
        join(self.table.iter().map(String::as_str).chain([self.key.as_str()]))
    }

    /// Whether the value, or a part of it, is a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        match &self.value {
            toml::Value::String(text) => text == REDACTED,
            toml::Value::Table(table) => table.values().any(|value| value.as_str() == Some(REDACTED)),
            _ => false,
        }
    }
}

impl Effective {
    /// Reads the configuration as [`super::Config::load`] does.
    ///
    /// # Errors
    /// As that one.
    pub fn load(file: Option<&std::path::Path>) -> Result<Self, Error> {
        Self::load_in(file, &Surroundings::of_this_process()?)
    }

    pub(super) fn load_in(file: Option<&std::path::Path>, around: &Surroundings) -> Result<Self, Error> {
        let document = super::find(file, around)?;
        let mut tables = Tables::read(&document)?;
        build(&document, &mut tables, around)?;
        let tree = document.tree()?;
        let mut entries = Vec::new();
        let mut add = |table: &[&str], values: toml::Table| {
            // What a channel is comes first; the rest by name.
            let (first, rest): (Vec<_>, Vec<_>) = values.into_iter().partition(|(key, _)| key == "kind");
            for (key, value) in first.into_iter().chain(rest) {
                let path: Vec<_> = table.iter().copied().chain([key.as_str()]).collect();
                let origin = document.origin(&tree, &path);
                let table = table.iter().map(|&name| name.to_owned()).collect();
                entries.push(Entry { table, key, value, origin });
            }
        };
        add(&["store"], values(&tables.store)?);
        add(&["defaults"], values(&tables.defaults)?);
        add(&["limits"], values(&tables.limits)?);
        add(&["log"], values(&tables.log)?);
        add(&["daemon"], values(&tables.daemon)?);
        add(&["http"], values(&tables.http)?);
        add(&["retention"], values(&tables.retention)?);
        add(&["backup"], values(&tables.backup)?);
        add(&["cache"], values(&tables.cache)?);
        for (name, channel) in &tables.channels {
            let mut all = values(&channel.common)?;
            all.extend(values(&channel.of_kind)?);
            add(&["channels", name], all);
        }
        Ok(Self { file: document.file().map(Into::into), entries })
    }
}

fn values(table: &impl Serialize) -> Result<toml::Table, Error> {
    toml::Table::try_from(table).map_err(|error| Error(format!("show the configuration: {error}")))
}
