//! `notifyctl config show`: every key with the value that holds, as TOML or JSON.

use std::collections::BTreeMap;

use crate::cli::{Context, Error, Exit};
use crate::config::{Effective, Entry};
use crate::wire;

/// Whether it is said where values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origins {
    /// It is.
    Shown,
    /// It is not.
    Hidden,
}

impl From<bool> for Origins {
    fn from(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Hidden }
    }
}

pub(super) fn toml(context: &mut Context, origins: Origins) -> Result<Exit, Error> {
    let effective = Effective::load(context.global.config.as_deref())?;
    match &effective.file {
        Some(path) => context.out.line(format_args!("# {}", path.display()))?,
        None => context.out.line("# no file: the defaults")?,
    }
    for table in effective.entries.chunk_by(|a, b| a.table == b.table) {
        context.out.line(format_args!("\n[{}]", table[0].heading()))?;
        for Entry { key, value, origin, .. } in table {
            match origins {
                Origins::Shown => context.out.line(format_args!("{key} = {value} # {origin}"))?,
                Origins::Hidden => context.out.line(format_args!("{key} = {value}"))?,
            }
        }
    }
    Ok(Exit::Ok)
}

pub(super) fn json(context: &mut Context, origins: Origins) -> Result<Exit, Error> {
    let effective = Effective::load(context.global.config.as_deref())?;
    let origins = (origins == Origins::Shown).then(|| {
        let origin = |entry: &Entry| (entry.path(), entry.origin.to_string());
        effective.entries.iter().map(origin).collect::<BTreeMap<_, _>>()
    });
    let mut config = serde_json::Map::new();
    for entry in &effective.entries {
        let mut table = &mut config;
        for name in &entry.table {
            let inner =
                table.entry(name).or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
            let Some(inner) = inner.as_object_mut() else {
                return Err(Error::internal(format!("`{name}` is both a table and a key")));
            };
            table = inner;
        }
        let value = serde_json::to_value(&entry.value).map_err(|error| Error::internal(error.to_string()))?;
        table.insert(entry.key.clone(), value);
    }
    let file = effective.file.map(|path| path.display().to_string());
    context.out.json(&wire::Configuration { file, config, origins })?;
    Ok(Exit::Ok)
}
