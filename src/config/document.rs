//! A file's text and the variables that override it, as one TOML tree whose every value knows its place.
//!
//! A variable's value gets a span of its own behind the end of the text, so that one way of reporting
//! serves both. Never quotes a line of the source: it may hold a secret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use super::surroundings::Setting;
use super::{Error, keys};

/// A file's text and the variables that override it.
#[derive(Debug)]
pub struct Document {
    file: Option<PathBuf>,
    text: String,
    overrides: Vec<Override>,
}

/// What is said of a table in errors about it.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its key path.
    pub name: &'a str,
    /// What it is to the reader: `[store]`.
    pub place: &'a str,
    /// Keys that may stand in it beside those of the type that is read.
    pub also: &'a [&'a str],
}

/// A variable that sets a key.
#[derive(Debug)]
struct Override {
    variable: String,
    path: Vec<String>,
    value: String,
    /// Where its span begins.
    start: usize,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file, at this line.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(variable) => write!(f, "${variable}"),
        }
    }
}

impl Document {
    /// A document of a file's text, and the keys that variables set.
    pub fn new(file: Option<&Path>, text: String, settings: &[Setting<'_>]) -> Self {
        let mut next = text.len() + 1;
        let overrides = settings.iter().map(|setting| {
            let start = next;
            next += setting.value.len() + 1;
            Override {
                variable: setting.variable.to_owned(),
                path: setting.path.clone(),
                value: setting.value.to_owned(),
                start,
            }
        });
        let overrides = overrides.collect();
        Self { file: file.map(Path::to_owned), text, overrides }
    }

    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The whole tree, overrides applied.
    ///
    /// # Errors
    /// When the text is not TOML, or an override leads through something that is no table.
    pub fn tree(&self) -> Result<DeTable<'_>, Error> {
        let tree = DeTable::parse(&self.text).map_err(|error| self.syntax(&error))?;
        let mut tree = tree.into_inner();
        for set in &self.overrides {
            set.apply(&mut tree).map_err(|what| Error(format!("${}: {what}", set.variable)))?;
        }
        Ok(tree)
    }

    /// Reads one table of the tree as `T`.
    ///
    /// # Errors
    /// With place, key path and what would be right; a value is quoted by its own type alone.
    pub fn read<T: DeserializeOwned + Default>(
        &self,
        about: &About<'_>,
        table: Option<Spanned<DeValue<'_>>>,
    ) -> Result<T, Error> {
        let Some(table) = table else { return Ok(T::default()) };
        let known = keys::of::<T>();
        for (key, _) in self.table(about.name, &table)? {
            if !known.contains(&key.get_ref().as_ref()) {
                return Err(self.unknown(about, key, known));
            }
        }
        T::deserialize(ValueDeserializer::from(table)).map_err(|error| {
            let span = error.span().unwrap_or_default();
            self.error_at(&span, &plainly(error.message()))
        })
    }

    /// The table that `value` is.
    ///
    /// # Errors
    /// When it is something else.
    pub fn table<'v, 'i>(
        &self,
        name: &str,
        value: &'v Spanned<DeValue<'i>>,
    ) -> Result<&'v DeTable<'i>, Error> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            other => {
                let article = if other.type_str().starts_with(['a', 'i']) { "an" } else { "a" };
                let what = format!("is {article} {}, where a table is expected: [{name}]", other.type_str());
                Err(self.error_at(&value.span(), &what))
            }
        }
    }

    /// The error that `key` is none of the `known` ones.
    pub fn unknown(&self, about: &About<'_>, key: &Spanned<DeString<'_>>, known: &[&str]) -> Error {
        let suggestion = keys::suggestion(key.get_ref(), known.iter().chain(about.also).copied());
        self.error_at(&key.span(), &format!("is no key of {}; {suggestion}", about.place))
    }

    /// The error `what` about the key at `path`, or about the nearest table above it that is set.
    pub fn error(&self, path: &[&str], what: &str) -> Error {
        let place = match self.nearest(path) {
            Some(span) => self.place(span.start),
            None => self.file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default(),
        };
        Error(format!("{place}{}: {what}", join(path.iter().copied())))
    }

    /// Where the value of the key at `path` of its tree comes from.
    pub fn origin(&self, tree: &DeTable<'_>, path: &[&str]) -> Origin {
        match find_path(tree, path) {
            Some(span) => self.origin_of(span.start),
            None => Origin::Default,
        }
    }

    fn nearest(&self, path: &[&str]) -> Option<Range<usize>> {
        let tree = self.tree().ok()?;
        (1..=path.len()).rev().find_map(|length| find_path(&tree, &path[..length]))
    }

    fn error_at(&self, span: &Range<usize>, what: &str) -> Error {
        let path = self.tree().ok().and_then(|tree| find_span(&tree, span));
        let path = path.map(|path| format!("{path}: ")).unwrap_or_default();
        Error(format!("{}{path}{what}", self.place(span.start)))
    }

    fn syntax(&self, error: &toml::de::Error) -> Error {
        let span = error.span().unwrap_or_default();
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        // The one thing worth quoting: a key is no secret.
        let what = match self.text.get(span.clone()) {
            Some(key) if what == "duplicate key" => format!("`{key}` is set twice in one table"),
            _ => what,
        };
        Error(format!("{}{what}", self.place(span.start)))
    }

    fn place(&self, at: usize) -> String {
        match self.origin_of(at) {
            Origin::Default => String::new(),
            origin => format!("{origin}: "),
        }
    }

    fn origin_of(&self, at: usize) -> Origin {
        if at > self.text.len() {
            let set = self.overrides.iter().rev().find(|set| set.start <= at);
            return set.map_or(Origin::Default, |set| Origin::Environment(set.variable.clone()));
        }
        let line = 1 + self.text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count();
        self.file.as_ref().map_or(Origin::Default, |file| Origin::File(file.clone(), line))
    }
}

impl Override {
    fn apply<'i>(&'i self, tree: &mut DeTable<'i>) -> Result<(), String> {
        let span = self.start..self.start + self.value.len();
        // Another one for tables that are made on the way, so that a span means one thing.
        let around = self.start..self.start + self.value.len() + 1;
        let (last, tables) = self.path.split_last().ok_or("names no key")?;
        let mut table = tree;
        for (depth, name) in tables.iter().enumerate() {
            let name = existing(table, name)?.unwrap_or_else(|| name.clone());
            let key = Spanned::new(around.clone(), DeString::from(name));
            let empty = || Spanned::new(around.clone(), DeValue::Table(DeTable::new()));
            match table.entry(key).or_insert_with(empty).get_mut() {
                DeValue::Table(inner) => table = inner,
                _ => return Err(format!("`{}` is set, and is no table", self.path[..=depth].join("."))),
            }
        }
        // What a program is handed is a variable itself, and its letters matter.
        let is_variable = matches!(tables, [table, _, key] if table == "channels" && key == "env");
        let meant = if is_variable { None } else { existing(table, last)? };
        let last = meant.unwrap_or_else(|| last.clone());
        // Replaces the key too, and with it its place.
        table.remove(last.as_str());
        table.insert(Spanned::new(span, DeString::from(last)), self.value());
        Ok(())
    }

    /// TOML when it starts like a list, a table or a quoted string and is one; else the string that it is.
    fn value(&self) -> Spanned<DeValue<'_>> {
        if self.value.starts_with(['[', '{', '"', '\''])
            && let Ok(value) = DeValue::parse(&self.value)
        {
            return shift(value, self.start);
        }
        let span = self.start..self.start + self.value.len();
        Spanned::new(span, DeValue::String(DeString::from(self.value.as_str())))
    }
}

/// The key that a variable's name means: shells allow it neither lower case nor a hyphen.
fn existing(table: &DeTable<'_>, name: &str) -> Result<Option<String>, String> {
    let plain = |key: &str| key.to_ascii_lowercase().replace(['-', '.'], "_");
    let mut meant = table.keys().map(|key| key.get_ref().as_ref()).filter(|key| plain(key) == plain(name));
    match (meant.next(), meant.next()) {
        (Some(one), Some(other)) => Err(format!("means `{one}` and `{other}` alike; rename one of them")),
        (one, _) => Ok(one.map(str::to_owned)),
    }
}

fn shift(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let shifted = match value.into_inner() {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| shift(item, by)).collect()),
        DeValue::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let at = key.span().start + by..key.span().end + by;
                (Spanned::new(at, key.into_inner()), shift(value, by))
            });
            DeValue::Table(entries.collect())
        }
        other => other,
    };
    Spanned::new(span.start + by..span.end + by, shifted)
}

fn find_path(tree: &DeTable<'_>, path: &[&str]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (key, value) = tree.get_key_value(*first)?;
    match (rest, value.get_ref()) {
        ([], _) => Some(key.span()),
        (_, DeValue::Table(table)) => find_path(table, rest),
        _ => None,
    }
}

/// The path of the key or value that lies exactly at `span`.
fn find_span(tree: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    fn within(value: &DeValue<'_>, span: &Range<usize>) -> Option<String> {
        match value {
            DeValue::Table(table) => find_span(table, span).map(|rest| format!(".{rest}")),
            DeValue::Array(items) => items.iter().enumerate().find_map(|(i, item)| {
                let here = (item.span() == *span).then(String::new);
                Some(format!("[{i}]{}", here.or_else(|| within(item.get_ref(), span))?))
            }),
            _ => None,
        }
    }
    tree.iter().find_map(|(key, value)| {
        let here = (key.span() == *span || value.span() == *span).then(String::new);
        Some(format!("{}{}", quoted(key.get_ref()), here.or_else(|| within(value.get_ref(), span))?))
    })
}

/// A path as TOML writes it.
pub fn join<'a>(path: impl Iterator<Item = &'a str>) -> String {
    path.map(quoted).collect::<Vec<_>>().join(".")
}

/// A key as TOML writes it.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if bare { key.to_owned() } else { format!("{key:?}") }
}

/// serde's words without the value: it may be a secret that was given the wrong type.
fn plainly(message: &str) -> String {
    let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return message.to_owned();
    };
    let found = match found.split(['`', '"']).next().unwrap_or_default().trim() {
        "integer" => "an integer",
        "floating point" => "a decimal number",
        "boolean" => "true or false",
        "string" => "a string",
        "sequence" => "a list",
        _ => "a table",
    };
    let expected = match expected {
        "a sequence" => "a list of strings",
        "a map" => "a table of strings",
        other => other,
    };
    format!("is {found}, where {expected} is expected")
}
