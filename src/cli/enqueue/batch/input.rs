//! Where a batch comes from, read twice: a file, or whatever else is first copied to an unlinked file.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::rows::{Rows, Unreadable};
use crate::cli::enqueue::args::{EnqueueArgs, Format};
use crate::cli::enqueue::files::Folder;
use crate::cli::enqueue::problems::Clean;
use crate::cli::output::say;
use crate::cli::{Error, Exit};
use crate::model::Limits;

/// What to do when the source cannot be read just now.
pub const READ_LATER: &str = "nothing was enqueued; when it can be read again, enqueue it again";

/// The source of a batch.
pub struct Input {
    name: String,
    /// `None` for standard input.
    path: Option<PathBuf>,
    format: Format,
    /// The longest row, in bytes.
    longest: usize,
    file: File,
    /// Of a regular file; `None` for a pipe, which is copied to `spool`.
    regular: Option<Regular>,
    spool: Option<File>,
}

/// What is known of a regular file when it is opened.
struct Regular {
    /// Where its rows begin.
    start: u64,
    /// Its end.
    length: u64,
    /// When it was last written to.
    modified: Option<SystemTime>,
}

impl Input {
    /// Opens what `--batch` names.
    ///
    /// # Errors
    /// 66 when it cannot be read, 64 when nobody knows its format.
    pub fn open(args: &EnqueueArgs, limits: &Limits) -> Result<Self, Error> {
        let path = args.batch.as_deref().filter(|path| *path != Path::new("-"));
        let name = path.map_or("-".to_owned(), |path| Clean(&path.to_string_lossy()).to_string());
        let format = format(args, path)?;
        let unread = |error: io::Error| unopened(&name, &error);
        let mut file = match path {
            Some(path) => File::open(path).map_err(unread)?,
            None => standard_input().map_err(unread)?,
        };
        let metadata = file.metadata().map_err(unread)?;
        if metadata.is_dir() {
            return Err(unread(io::ErrorKind::IsADirectory.into()));
        }
        let regular = match metadata.is_file() {
            true => Some(Regular {
                start: file.stream_position().map_err(unread)?,
                length: metadata.len(),
                modified: metadata.modified().ok(),
            }),
            false => None,
        };
        let path = path.map(Path::to_owned);
        Ok(Self { name, path, format, longest: longest(limits), file, regular, spool: None })
    }

    /// What it is called in messages: the file as it was given, or `-`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes there are to be read, where that is known beforehand.
    pub fn size(&self) -> Option<u64> {
        self.regular.as_ref().map(|regular| regular.length.saturating_sub(regular.start))
    }

    /// Whether nobody has written to it since it was opened, as far as its metadata can tell.
    pub fn is_untouched(&self) -> bool {
        let Some(then) = &self.regular else { return true };
        self.file.metadata().is_ok_and(|now| now.len() == then.length && now.modified().ok() == then.modified)
    }

    /// The folder in which rows may name files: the batch file's own; none for standard input.
    pub fn folder(&self) -> Result<Option<Folder>, Error> {
        let Some(path) = &self.path else { return Ok(None) };
        let folder = Folder::of(path);
        folder.map(Some).map_err(|error| unopened(&format!("the folder of {}", self.name), &error))
    }

    /// The rows, for the first time.
    ///
    /// # Errors
    /// When there is no room for a copy of what cannot be read twice, or the columns are not known.
    pub fn first(&mut self) -> Result<Rows<'_>, Error> {
        let read: Box<dyn Read + '_> = match self.regular {
            Some(_) => Box::new(&self.file),
            None => {
                let spool = tempfile::tempfile().map_err(NoCopy::wrap);
                let spool = spool.map_err(|error| Unreadable::from(error).of(&self.name))?;
                let to = BufWriter::with_capacity(1 << 16, self.spool.insert(spool));
                Box::new(Tee { from: &self.file, to })
            }
        };
        Rows::open(read, self.format, self.longest).map_err(|error| error.of(&self.name))
    }

    /// The rows once more: the same `bytes` that the first pass read.
    ///
    /// # Errors
    /// When it cannot be read again.
    pub fn again(&self, bytes: u64) -> Result<Rows<'_>, Error> {
        let mut file = self.spool.as_ref().unwrap_or(&self.file);
        let start = self.regular.as_ref().map_or(0, |regular| regular.start);
        file.seek(SeekFrom::Start(start)).map_err(|error| {
            Error::new(Exit::IoErr, format!("read {} again: {error}", self.name)).hint(READ_LATER)
        })?;
        Rows::open(Box::new(file.take(bytes)), self.format, self.longest)
            .map_err(|error| error.of(&self.name))
    }
}

/// A row may hold a message and its HTML, each byte of which JSON may write as three (`é` is two bytes and
/// becomes `\u00e9`), attachments as base64, and some room for all the rest.
fn longest(limits: &Limits) -> usize {
    const REST: usize = 1 << 20;
    let text = limits.message.saturating_mul(2 * 3);
    let files = limits.attachments.saturating_mul(4).div_ceil(3);
    text.saturating_add(files).saturating_add(REST)
}

fn format(args: &EnqueueArgs, path: Option<&Path>) -> Result<Format, Error> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let Some(path) = path else { return Ok(Format::Ndjson) };
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str() {
        Some("csv") => Ok(Format::Csv),
        Some("ndjson" | "jsonl" | "json") => Ok(Format::Ndjson),
        _ => Err(Error::new(Exit::Usage, "--batch: the file's name does not say what it is written in")
            .hint("add --format ndjson or --format csv")),
    }
}

fn unopened(what: &str, error: &io::Error) -> Error {
    let failed = |exit| Error::new(exit, format!("--batch: open {what}: {error}"));
    match error.kind() {
        io::ErrorKind::PermissionDenied => failed(Exit::NoPerm),
        io::ErrorKind::NotFound => failed(Exit::NoInput),
        _ => failed(Exit::NoInput).hint(READ_LATER),
    }
}

/// Standard input without std's buffer, so that what is a file there can be read twice.
fn standard_input() -> io::Result<File> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        say("reading the batch from standard input, end with Ctrl-D");
    }
    stdin.as_fd().try_clone_to_owned().map(File::from)
}

/// Reads, and leaves a copy of what was read.
struct Tee<'a> {
    from: &'a File,
    to: BufWriter<&'a mut File>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let written = match read {
            0 => self.to.flush(),
            read => self.to.write_all(&buffer[..read]),
        };
        written.map_err(NoCopy::wrap)?;
        Ok(read)
    }
}

/// The copy cannot be written; told apart from input that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("copy the batch to {folder}: {0}", folder = std::env::temp_dir().display())]
pub struct NoCopy(io::Error);

impl NoCopy {
    fn wrap(error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Self(error))
    }
}
