//! Why the HTTP side cannot begin.

use std::io;

use crate::store;

/// Why the HTTP side cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot listen there.
    #[error("listen on {place}: {what}")]
    Listen {
        /// The address, or the socket's path.
        place: String,
        /// Why, for people.
        what: String,
        /// Of which kind that is.
        kind: io::ErrorKind,
    },
    /// Somebody who is named in the configuration is not known here.
    #[error("http: {0}")]
    Access(String),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The system did not give what it always gives.
    #[error("{doing}: {error}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl Error {
    pub(super) fn system(doing: &'static str, error: io::Error) -> Self {
        Self::System { doing, error }
    }

    pub(super) fn listen(place: &dyn ToString, error: &io::Error) -> Self {
        let what = match error.kind() {
            io::ErrorKind::AddrInUse => "somebody else listens there already".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this host has no such address".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            // Of a socket: binding a file makes no folder.
            io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
            _ => error.to_string(),
        };
        Self::Listen { place: place.to_string(), what, kind: error.kind() }
    }
}
