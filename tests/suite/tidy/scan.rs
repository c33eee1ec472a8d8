//! Reading the project's own files: without comments, by their paths below the top.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One file, without its comments.
pub struct Source {
    /// Below the top.
    pub path: PathBuf,
    /// Its lines, each cut where a comment begins.
    pub code: Vec<String>,
}

impl Source {
    pub fn new(path: PathBuf, comment: &str) -> Self {
        let cut = |line: &str| line.split(comment).next().unwrap_or_default().to_owned();
        let code = read(&path).lines().map(cut).collect();
        Self { path, code }
    }

    pub fn name(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// The top module it belongs to: `store` for `src/store/url.rs`.
    pub fn module(&self) -> String {
        let below = self.path.strip_prefix("src").expect("in src");
        let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    }

    /// Its lines with those of unit tests left empty.
    pub fn shipped(&self) -> Vec<&str> {
        let mut inside = self.path.ends_with("tests.rs");
        let mut lines = Vec::with_capacity(self.code.len());
        for (number, line) in self.code.iter().enumerate() {
            let before = number.checked_sub(1).map_or("", |before| self.code[before].trim());
            inside |= before == "#[cfg(test)]" && line.starts_with("mod ") && line.ends_with('{');
            lines.push(if inside { "" } else { line.as_str() });
            // rustfmt puts the end of a module at the margin, and nothing else of it.
            inside &= line != "}" || self.path.ends_with("tests.rs");
        }
        lines
    }

    /// The top modules of this crate that it names outside of unit tests, by `crate::`, `notifyctl::` or
    /// enough `super::`.
    pub fn imports(&self) -> BTreeSet<String> {
        let text = self.shipped().join(" ");
        let depth = self.path.components().count() - 1 - usize::from(self.path.ends_with("mod.rs"));
        let root = "super::".repeat(depth);
        let mut found = BTreeSet::new();
        for way in ["crate::", "notifyctl::", root.as_str()] {
            for (at, _) in text.match_indices(way) {
                found.extend(first_names(&text[at + way.len()..]));
            }
        }
        found
    }
}

/// The first names of a path, or of each path in a group: `store` and `wire` of `{store::{self, X}, wire}`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        if start && depth == 0 {
            names.push(name(&group[at..]));
        }
        start = c == ',';
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

/// Whether `line` names `krate` as the first part of a path.
pub fn names_crate(line: &str, krate: &str) -> bool {
    line.match_indices(&format!("{krate}::")).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// The names that a line of Rust or SQL gives to something: functions, types, variables, fields, variants.
pub fn declared(line: &str) -> Vec<&str> {
    const BEFORE: &[&str] =
        &["fn", "struct", "enum", "type", "trait", "mod", "const", "static", "let", "mut", "TABLE", "INDEX"];
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let tokens: Vec<&str> = line.split(|c| !is_name(c)).filter(|token| !token.is_empty()).collect();
    let mut names: Vec<&str> =
        tokens.windows(2).filter(|pair| BEFORE.contains(&pair[0])).map(|pair| pair[1]).collect();
    let first = line.trim_start().trim_start_matches("pub ");
    let end = first.find(|c| !is_name(c)).unwrap_or(first.len());
    let (name, rest) = first.split_at(end);
    let a_field = rest.starts_with(": ") || rest.starts_with(" INTEGER") || rest.starts_with(" TEXT");
    let a_variant = name.starts_with(char::is_uppercase) && matches!(rest, "," | "(" | " {");
    if a_field || a_variant {
        names.push(name);
    }
    names
}

/// `paused_until` and `PausedUntil` as `paused`, `until`.
pub fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        words.last_mut().expect("one").extend(c.to_lowercase().filter(|c| *c != '_'));
    }
    words
}

pub fn sources() -> Vec<Source> {
    let sources: Vec<_> = files(&["src"], "rs").into_iter().map(|path| Source::new(path, "//")).collect();
    assert!(sources.len() > 30, "the sources are found");
    sources.into_iter().filter(|file| !file.path.ends_with("lib.rs")).collect()
}

/// Every file below these places whose name ends in `.extension` (any, when that is empty), by its path below the top.
pub fn files(places: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for place in places {
        let path = top().join(place);
        if path.is_dir() {
            let inside: Vec<String> = children(&path).iter().map(|child| relative(child)).collect();
            found.extend(files(&inside.iter().map(String::as_str).collect::<Vec<_>>(), extension));
        } else if path.is_file() && (extension.is_empty() || path.extension().is_some_and(|e| e == extension))
        {
            found.push(PathBuf::from(place));
        }
    }
    found
}

pub fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("read the folder").path()).collect();
    paths.sort();
    paths
}

pub fn relative(path: &Path) -> String {
    path.strip_prefix(top()).expect("below the top").to_string_lossy().into_owned()
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
