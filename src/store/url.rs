//! Which database, and where: `sqlite:///path`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file, by its absolute path.
    Sqlite(PathBuf),
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sqlite://") {
            Some(path) if path.contains(char::is_control) => Err(UrlError::Control),
            Some(path) if path.len() > 1 && path.starts_with('/') => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(_) => Err(UrlError::Relative),
            // The text may hold a password: it is not repeated.
            None => Err(UrlError::Scheme),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
        }
    }
}

/// A URL that names no store.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// Not an absolute path.
    #[error("the path must be absolute, with three slashes: sqlite:///var/lib/notifyctl/notifyctl.db")]
    Relative,
    /// A name that no file should have, and that would steer a terminal wherever it is told.
    #[error("the path holds a control character")]
    Control,
    /// Another kind of database.
    #[error("the kind of store is not known; write sqlite:///path")]
    Scheme,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absolute_sqlite_path_is_a_store() {
        assert_eq!("sqlite:///a/b.db".parse(), Ok(StoreUrl::Sqlite("/a/b.db".into())));
        assert_eq!("sqlite://a.db".parse::<StoreUrl>(), Err(UrlError::Relative));
        assert_eq!("sqlite:///".parse::<StoreUrl>(), Err(UrlError::Relative));
        assert_eq!("sqlite:///a\0.db".parse::<StoreUrl>(), Err(UrlError::Control));
        assert_eq!("sqlite:///a\u{1b}[31m.db".parse::<StoreUrl>(), Err(UrlError::Control));
        assert_eq!("mysql://u:p@h/d".parse::<StoreUrl>(), Err(UrlError::Scheme));
    }
}
