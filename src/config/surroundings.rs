//! What of a process's surroundings decides on the configuration: variables, the home, who runs it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::Error;

/// What of a process's surroundings decides on the configuration.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `NOTIFYCTL_CONFIG`, unless it is empty.
    pub config: Option<PathBuf>,
    /// Every other variable that starts with `NOTIFYCTL_`, by its name.
    pub variables: Vec<(String, String)>,
    /// `XDG_CONFIG_HOME`, else `.config` in the home.
    pub config_home: Option<PathBuf>,
    /// `XDG_STATE_HOME`, else `.local/state` in the home; nothing for root, who has `/var/lib`.
    pub state_home: Option<PathBuf>,
    /// Where the system's own configuration is: `/etc`.
    pub system: Option<PathBuf>,
    /// Whether root runs it.
    pub root: bool,
}

/// A key that a variable sets.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The variable.
    pub variable: &'a str,
    /// The key's path, in lower case but for a variable that a program is handed.
    pub path: Vec<String>,
    /// The value, as it stands in the variable.
    pub value: &'a str,
}

/// What every variable of ours starts with.
const PREFIX: &str = "NOTIFYCTL_";

/// The file's place in a directory of configurations.
const FILE: &str = "notifyctl/notifyctl.toml";

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// When one of our variables is not UTF-8.
    pub fn of_this_process() -> Result<Self, Error> {
        let root = rustix::process::geteuid().is_root();
        let home = directory("HOME");
        let mut surroundings = Self {
            config: std::env::var_os("NOTIFYCTL_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from),
            variables: Vec::new(),
            config_home: directory("XDG_CONFIG_HOME")
                .or_else(|| home.as_ref().map(|home| home.join(".config"))),
            state_home: directory("XDG_STATE_HOME")
                .or_else(|| home.filter(|_| !root).map(|home| home.join(".local/state"))),
            system: Some("/etc".into()),
            root,
        };
        for (name, value) in std::env::vars_os() {
            surroundings.take(&name, value)?;
        }
        // The environment has no order of its own; errors should.
        surroundings.variables.sort_unstable();
        Ok(surroundings)
    }

    fn take(&mut self, name: &OsStr, value: OsString) -> Result<(), Error> {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { return Ok(()) };
        if name == "NOTIFYCTL_CONFIG" {
            return Ok(());
        }
        let value = value.into_string().map_err(|_| Error(format!("${name}: is not UTF-8")))?;
        self.variables.push((name.to_owned(), value));
        Ok(())
    }

    /// Where a file may lie that nobody named, the first one first.
    pub fn usual_files(&self) -> impl Iterator<Item = PathBuf> {
        [&self.config_home, &self.system].into_iter().flatten().map(|folder| folder.join(FILE))
    }

    /// Where `config init` writes: for root the system's place, else the user's own.
    pub fn usual_file(&self) -> Option<PathBuf> {
        let folder = if self.root { &self.system } else { &self.config_home };
        folder.as_ref().map(|folder| folder.join(FILE))
    }

    /// The store's place when nothing is configured.
    pub fn usual_store(&self) -> Option<PathBuf> {
        let home = match &self.state_home {
            Some(home) => home,
            None if self.root => Path::new("/var/lib"),
            None => return None,
        };
        Some(home.join("notifyctl/notifyctl.db"))
    }

    /// The keys that the variables set.
    ///
    /// # Errors
    /// When a name looks like a key and is none.
    pub fn keys(&self) -> Result<Vec<Setting<'_>>, Error> {
        let mut keys = Vec::new();
        for (name, value) in &self.variables {
            let rest = &name[PREFIX.len()..];
            if rest.contains("__") {
                let mut path: Vec<_> = rest.split("__").map(str::to_ascii_lowercase).collect();
                if path.iter().any(|part| part.is_empty() || part.starts_with('_')) {
                    return Err(Error(format!(
                        "${name}: is not the name of a key; write it as in NOTIFYCTL_STORE__URL"
                    )));
                }
                // What a program is handed is a variable itself, and its letters matter.
                if let ([table, _, key, last], Some((_, given))) = (&mut path[..], rest.rsplit_once("__"))
                    && (table.as_str(), key.as_str()) == ("channels", "env")
                {
                    given.clone_into(last);
                }
                keys.push(Setting { variable: name, path, value });
            } else if let Some((table, key)) = rest
                .split_once('_')
                .filter(|(table, _)| super::TABLES.contains(&&*table.to_ascii_lowercase()))
            {
                // Programs are handed variables like NOTIFYCTL_ID; these ones can only be a slip.
                return Err(Error(format!(
                    "${name}: a table and its key are joined by two underscores: NOTIFYCTL_{table}__{key}"
                )));
            }
        }
        Ok(keys)
    }
}

/// A directory named by a variable. A relative one is to be ignored (XDG Base Directory Specification).
fn directory(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
