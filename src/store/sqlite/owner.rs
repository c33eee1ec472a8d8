//! Whose the files beside the store are: the store's owner's, also when root made them.
//!
//! A daemon has a user of its own; root looks, enqueues, and lets cron run passes. SQLite gives what root makes to the
//! owner of the database, and so do we: else one command of root's would leave what the daemon may neither open nor pass over.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind as Io};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use rustix::fs::OFlags;

/// Gives `made` to the owner of what is at `like`, if root has made it.
///
/// Only for what the caller has just made itself: a name that was there may lead to a file of somebody else's, which
/// would be given away.
pub(super) fn give(made: &File, like: &Path) -> io::Result<()> {
    let Ok(like) = std::fs::metadata(like) else { return Ok(()) };
    if made.metadata()?.uid() != 0 || like.uid() == 0 {
        return Ok(());
    }
    match fchown(made, Some(like.uid()), Some(like.gid())) {
        // A root without root's powers, or one of a container to whom the owner is nobody; or a file system without owners. It
        // stays whose it is.
        Err(error) if matches!(error.kind(), Io::PermissionDenied | Io::InvalidInput | Io::Unsupported) => {
            Ok(())
        }
        given => given,
    }
}

/// Opens the file at `path` beside the database as `options` say, and makes it if it is missing.
pub(super) fn open(options: &mut OpenOptions, path: &Path, database: &Path) -> io::Result<File> {
    match options.clone().create_new(true).mode(0o600).open(path) {
        Ok(file) => give(&file, database).map(|()| file),
        Err(error) if error.kind() == Io::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Makes the folder `path` beside the database, if it is missing.
pub(super) fn make_folder(path: &Path, database: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits() as i32;
            give(&OpenOptions::new().read(true).custom_flags(flags).open(path)?, database)
        }
        Err(error) if error.kind() == Io::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}
