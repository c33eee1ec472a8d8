//! Why a run could not go on.

use crate::store::{self, Stopped};

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The store's thread is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The worker cannot leave on record that an attempt begins, so none may.
    #[error("write worker file: {0}")]
    Worker(#[from] std::io::Error),
}
