//! What can go wrong with a store: where, what, and of which kind.

use std::path::PathBuf;

/// The result of a call to the store.
pub type Result<T> = std::result::Result<T, Error>;

/// A call that failed. Nothing of it was done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing} {path}: {what}", path = .path.display())]
pub struct Error {
    /// What was being done, such as `open database`.
    pub doing: &'static str,
    /// Which file.
    pub path: PathBuf,
    /// What went wrong.
    pub what: String,
    /// Of which kind that is; hints and exit codes follow from it.
    pub kind: ErrorKind,
}

/// The kinds of failure that a caller can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Another process kept its lock for longer than the busy timeout.
    Busy,
    /// The disk, or the quota, is full.
    Full,
    /// The file or its file system cannot be written.
    ReadOnly,
    /// There is no such file or directory.
    Missing,
    /// The file that was opened was moved or removed since; another one may have its name.
    Moved,
    /// We may not.
    Permission,
    /// The file is something else than a store of ours.
    NotAStore,
    /// The store was made by a newer notifyctl.
    Newer,
    /// The store was made by an older notifyctl, and may only be read: it cannot be migrated.
    Older,
    /// The file is damaged.
    Corrupt,
    /// It lies on a file system that cannot carry it (a network file system).
    Unfit,
    /// There is no store, but the log of one, which may hold what was accepted.
    LogAlone,
    /// The target of a copy exists.
    Exists,
    /// Reading or writing failed.
    Io,
    /// Something that should not happen.
    Internal,
}
