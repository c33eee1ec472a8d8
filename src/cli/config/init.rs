//! `notifyctl config init`: the annotated configuration as a new file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::{Context, Error, Exit};
use crate::config;

/// Every key with its default and why.
const SAMPLE: &str = include_str!("../../../etc/notifyctl.toml");

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// It stays, and we fail.
    Keep,
    /// It is replaced, at once and whole.
    Replace,
}

pub(super) fn run(context: &mut Context, output: Option<PathBuf>, existing: Existing) -> Result<Exit, Error> {
    if output.as_deref() == Some(Path::new("-")) {
        context.out.text(SAMPLE)?;
        return Ok(Exit::Ok);
    }
    let path = match output.or_else(|| context.global.config.clone()) {
        Some(path) => path,
        None => config::usual_file()?,
    };
    write(&path, existing).map_err(|error| failed(&path, &error))?;
    context.out.line(path.display())?;
    Ok(Exit::Ok)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let failed = Error::new(Exit::CantCreate, format!("make {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::AlreadyExists => failed.hint("it was left as it is; --force replaces it"),
        _ => failed.hint("--output FILE writes it elsewhere, --output - to standard output"),
    }
}

fn write(path: &Path, existing: Existing) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match existing {
        Existing::Keep => write_new(path),
        Existing::Replace => {
            let mut new = path.as_os_str().to_owned();
            new.push(format!(".{}", std::process::id()));
            write_new(new.as_ref())?;
            fs::rename(&new, path).inspect_err(|_| {
                let _ = fs::remove_file(&new);
            })
        }
    }
}

/// Readable by the owner and the group alone: sooner or later somebody writes a password into it.
fn write_new(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
    file.write_all(SAMPLE.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        // Half a configuration is worse than none.
        let _ = fs::remove_file(path);
    })
}
