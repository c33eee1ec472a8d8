//! The files that travel with a notification. Only regular files, and no byte more than their limit.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::args::not_utf8;
use super::problems::{Clean, refused};
use crate::cli::{Error, Exit};
use crate::model::{Attachment, Limits, Problem};
use crate::wire::row::media_type;

/// Without NONBLOCK, opening a FIFO would wait for its writer before we can see what it is.
const FLAGS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A file given by an option, as an attachment under its own name.
///
/// # Errors
/// 66 when there is no such regular file or it cannot be read, 65 when it is too large.
pub fn attachment(path: &Path, limit: usize) -> Result<Attachment, Error> {
    let content = bytes("--attach", path, limit)?;
    Ok(Attachment { content, ..named(&name_of(path)) })
}

/// A file given by an option, as text.
///
/// # Errors
/// As [`attachment`]; 65 when it is not UTF-8.
pub fn text(field: &'static str, path: &Path, limit: usize) -> Result<String, Error> {
    let content = bytes("--html", path, limit)?;
    String::from_utf8(content).map_err(|error| refused(&[not_utf8(field, &error.utf8_error())]))
}

/// Files beside a batch file: rows may name them, but nothing outside that folder.
pub struct Folder(File);

impl Folder {
    /// The folder in which `batch` lies.
    pub fn of(batch: &Path) -> io::Result<Self> {
        let folder = match batch.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => Path::new("/"),
        };
        File::open(folder).map(Self)
    }

    /// The file that a row names, as an attachment under its own name.
    ///
    /// # Errors
    /// When it is not a regular file below the folder, cannot be read or is too large.
    pub fn attachment(&self, path: &str, limit: usize) -> Result<Attachment, Problem> {
        let wrong = |what: String| Problem::new("attachments", what);
        if path.contains(|c: char| c.is_control()) || path.len() > Limits::LINE {
            return Err(wrong("a path holds a control character or is too long".into()));
        }
        // Whoever wrote the batch may not be who enqueues it: a link or `..` must not reach out.
        let opened = openat2(&self.0, path, OFlags::RDONLY | FLAGS, Mode::empty(), ResolveFlags::BENEATH)
            .map(File::from);
        let content = match opened {
            Err(rustix::io::Errno::XDEV) => {
                return Err(wrong(format!("{path}: lies outside the batch file's folder")));
            }
            opened => opened
                .map_err(|error| wrong(format!("open {path}: {error}")))
                .and_then(|file| read(&file, limit).map_err(|error| wrong(format!("{path}: {error}"))))?,
        };
        Ok(Attachment { content, ..named(&name_of(Path::new(path))) })
    }
}

fn named(name: &str) -> Attachment {
    Attachment { name: name.to_owned(), media_type: media_type(name).to_owned(), content: Vec::new() }
}

/// A name that is not UTF-8 is shown as well as it can be: the file itself is what matters.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn bytes(option: &str, path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    let shown = path.to_string_lossy();
    let shown = Clean(&shown);
    let options = std::fs::OpenOptions::new().read(true).custom_flags(FLAGS.bits() as i32).open(path);
    let file = options.map_err(|error| {
        let exit = if error.kind() == io::ErrorKind::PermissionDenied { Exit::NoPerm } else { Exit::NoInput };
        Error::new(exit, format!("{option}: open {shown}: {error}"))
    })?;
    read(&file, limit).map_err(|error| {
        let exit = match error {
            Unfit::NotRegular => Exit::NoInput,
            Unfit::TooLarge { .. } => Exit::DataErr,
            Unfit::Io(_) => Exit::IoErr,
        };
        Error::new(exit, format!("{option}: {shown}: {error}"))
    })
}

/// Why an open file cannot travel with a notification.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("not a regular file")]
    NotRegular,
    #[error("is {size} bytes long; at most {limit} are taken")]
    TooLarge { size: u64, limit: usize },
    #[error("{0}")]
    Io(#[from] io::Error),
}

fn read(file: &File, limit: usize) -> Result<Vec<u8>, Unfit> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Unfit::NotRegular);
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    if metadata.len() > most {
        return Err(Unfit::TooLarge { size: metadata.len(), limit });
    }
    let mut content = Vec::new();
    // It may grow while it is read.
    file.take(most.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() > limit {
        return Err(Unfit::TooLarge { size: content.len() as u64, limit });
    }
    Ok(content)
}
