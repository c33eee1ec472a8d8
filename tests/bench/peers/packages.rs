//! What `tests/bench/compare` installed: a version for each package, or why it is missing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Attempt;

/// Where the peers lie that are not the system's own.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/peers")
}

/// By the package's name.
pub struct Packages(BTreeMap<String, Attempt<String>>);

impl Packages {
    /// Reads the list, a line a package: name, `is` or `lacks`, and the version or the reason, by tabs.
    pub fn read() -> Attempt<Self> {
        let file = folder().join("versions");
        let text = std::fs::read_to_string(&file).map_err(|error| {
            format!("{}: {error}; tests/bench/compare installs the peers", file.display())
        })?;
        let parse = |line: &str| match *line.split('\t').collect::<Vec<_>>() {
            [name, "is", version] => Some((name.to_owned(), Ok(version.to_owned()))),
            [name, "lacks", why] => Some((name.to_owned(), Err(why.to_owned()))),
            _ => None,
        };
        let packages: Option<_> = text.lines().map(parse).collect();
        packages.map(Self).ok_or(format!("{}: not as tests/bench/compare writes it", file.display()))
    }

    /// Whether it was to be installed.
    pub fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The version of the first, once all are there.
    pub fn versions(&self, names: &[&str]) -> Attempt<String> {
        let all: Attempt<Vec<_>> = names.iter().map(|name| self.version(name)).collect();
        all.map(|versions| versions.into_iter().next().unwrap_or_default())
    }

    fn version(&self, name: &str) -> Attempt<String> {
        self.0.get(name).cloned().unwrap_or_else(|| Err(format!("{name} was not looked for")))
    }

    /// `name version` of those that are there.
    pub fn named(&self, names: &[&str]) -> String {
        let there = names.iter().filter_map(|name| Some(format!("{name} {}", self.version(name).ok()?)));
        there.collect::<Vec<_>>().join(", ")
    }
}
