//! SQLite's result codes in our words.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};
use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;

use crate::store::{Error, ErrorKind};

/// Says what SQLite's answer means for a caller.
pub(super) fn failure(doing: &'static str, path: &Path, error: &rusqlite::Error) -> Error {
    if let Err(why) = log_can_be_made(error, path) {
        return io_failure("make the log of", path, &why.into());
    }
    let kind = kind_of(error, path);
    let what = match error {
        // The statement's text says nothing to an operator.
        rusqlite::Error::SqliteFailure(code, message) => message.clone().unwrap_or_else(|| code.to_string()),
        other => other.to_string(),
    };
    let what = match kind {
        ErrorKind::Busy => "another process is writing to it".into(),
        ErrorKind::Full => "no space left".into(),
        ErrorKind::Moved => "it was moved or removed, or replaced by another one, while it was open".into(),
        ErrorKind::NotAStore => "it is not a SQLite database".into(),
        ErrorKind::ReadOnly => "it cannot be written".into(),
        ErrorKind::Io if is_read_only(error) => "it could not be opened for writing".into(),
        ErrorKind::Permission => "permission denied".into(),
        _ => what,
    };
    Error { doing, path: path.to_owned(), what, kind }
}

/// An error of the file system where no blocks could be set aside, among SQLite's.
pub(super) fn no_room(error: &std::io::Error) -> rusqlite::Error {
    let code = match io_kind(error) {
        ErrorKind::Full => ffi::SQLITE_FULL,
        _ => ffi::SQLITE_IOERR,
    };
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(format!("set room aside: {}", words(error))))
}

fn is_read_only(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ReadOnly)
}

/// Whether it may well not be for want of a log that SQLite cannot open what is there: who only reads needs one too, and makes
/// it where the last one who closed took it away. SQLite says only "unable to open".
fn log_can_be_made(error: &rusqlite::Error, path: &Path) -> Result<(), Errno> {
    let cannot_open = error.sqlite_error_code() == Some(ErrorCode::CannotOpen);
    match path.parent() {
        Some(folder) if cannot_open && access(path, Access::READ_OK).is_ok() => {
            access(folder, Access::WRITE_OK)
        }
        _ => Ok(()),
    }
}

/// What the code means, and where SQLite's answer is not the whole of it, what the file system says.
fn kind_of(error: &rusqlite::Error, path: &Path) -> ErrorKind {
    if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_READONLY_DBMOVED) {
        return ErrorKind::Moved;
    }
    // A file that cannot be opened for writing is opened for reading, whatever the reason was.
    if is_read_only(error) && access(path, Access::WRITE_OK).is_ok() {
        return ErrorKind::Io;
    }
    if is_read_only(error) && access(path, Access::WRITE_OK) == Err(Errno::ACCESS) {
        return ErrorKind::Permission;
    }
    // The index of the log could not grow.
    let index = error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE);
    if index && statvfs(path).is_ok_and(|disk| disk.f_bavail == 0) {
        return ErrorKind::Full;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        Some(ErrorCode::DiskFull) => ErrorKind::Full,
        Some(ErrorCode::ReadOnly) => ErrorKind::ReadOnly,
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            ErrorKind::Permission
        }
        Some(ErrorCode::NotADatabase) => ErrorKind::NotAStore,
        Some(ErrorCode::DatabaseCorrupt) => ErrorKind::Corrupt,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory) => ErrorKind::Io,
        _ => match error {
            error if is_unreadable(error) => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        },
    }
}

/// Whether a column holds what it cannot hold: somebody else has written it.
pub(super) fn is_unreadable(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

/// An error of the file system, in our words.
pub(super) fn io_failure(doing: &'static str, path: &Path, error: &std::io::Error) -> Error {
    Error { doing, path: path.to_owned(), what: words(error), kind: io_kind(error) }
}

fn io_kind(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::Missing,
        Io::PermissionDenied => ErrorKind::Permission,
        Io::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        Io::StorageFull | Io::QuotaExceeded => ErrorKind::Full,
        Io::AlreadyExists => ErrorKind::Exists,
        _ => ErrorKind::Io,
    }
}

/// "permission denied", without Rust's "(os error 13)".
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
