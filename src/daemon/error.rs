//! Why a daemon cannot start, or cannot go on.

use std::io;
use std::path::PathBuf;

use crate::delivery;
use crate::http;
use crate::store::{self, Stopped};

/// Why a daemon cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No channel can be used as configured; the log says why.
    #[error("no channel can be used as configured")]
    NoChannel,
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The sender could not go on.
    #[error(transparent)]
    Delivery(delivery::Error),
    /// It cannot take requests.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The store's thread is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// No copies of the store can be kept there.
    #[error("keep backups in {} ([backup] to): {error}", folder.display())]
    Backup {
        /// The folder that was configured.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
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
}
