//! Values that never print, and where they are read from: a file, a command, a systemd credential.
//!
//! What is done with a secret is the caller's; nothing here logs, shows or keeps one.

mod command;
pub mod token;

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

pub use command::end_all as end_commands;
use rustix::fs::OFlags;
use secrecy::zeroize::Zeroizing;
pub use secrecy::{ExposeSecret, SecretString};

/// Where a secret comes from. Its `Debug` shows the place, never the value.
#[derive(Debug, Clone)]
pub enum Source {
    /// It stands in the configuration itself.
    Inline(SecretString),
    /// The first line of a file.
    File(PathBuf),
    /// The first line that a program prints. No shell.
    Command(Vec<String>),
    /// The first line of a systemd credential, by its name (`LoadCredential=`, systemd.exec(5)).
    Credential(String),
}

/// The most bytes that a file may hold or a program may print.
const LIMIT: usize = 64 * 1024;

/// How long a program may take.
const COMMAND_TIME: Duration = Duration::from_secs(10);

/// The variable in which systemd names the directory of credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

impl Source {
    /// Reads it: the first line, without its end. May take up to ten seconds for a command.
    ///
    /// # Errors
    /// Says where and why; never holds the value.
    pub fn read(&self) -> Result<SecretString, Error> {
        let text = self.text()?;
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(SecretString::from(line)),
            _ => Err(Error::Empty(self.place())),
        }
    }

    /// Reads every line but empty ones and those that start with `#`; for secrets in rotation.
    ///
    /// # Errors
    /// As [`Source::read`]; also when no line is left.
    pub fn read_lines(&self) -> Result<Vec<SecretString>, Error> {
        let text = self.text()?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let secrets: Vec<_> = lines.map(SecretString::from).collect();
        if secrets.is_empty() { Err(Error::Empty(self.place())) } else { Ok(secrets) }
    }

    /// Where it is, in words for people; nothing secret.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Inline(_) => "the configuration".into(),
            Self::File(path) => path.display().to_string(),
            // The arguments may say more than they should.
            Self::Command(argv) => format!("the command `{}`", argv.first().map_or("", String::as_str)),
            Self::Credential(name) => format!("the credential `{name}`"),
        }
    }

    fn text(&self) -> Result<Zeroizing<String>, Error> {
        let bytes = match self {
            Self::Inline(secret) => return Ok(Zeroizing::new(secret.expose_secret().to_owned())),
            Self::File(path) => read_file(path)?,
            Self::Command(argv) => command::read(argv, COMMAND_TIME)?,
            Self::Credential(name) => read_file(&credential(name)?)?,
        };
        if bytes.len() > LIMIT {
            return Err(Error::TooLong(self.place()));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => Ok(Zeroizing::new(text.to_owned())),
            _ => Err(Error::NotText(self.place())),
        }
    }
}

fn credential(name: &str) -> Result<PathBuf, Error> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(Error::CredentialName(name.to_owned()));
    }
    match std::env::var_os(CREDENTIALS) {
        Some(directory) => Ok(Path::new(&directory).join(name)),
        None => Err(Error::NoCredentials(name.to_owned())),
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let error = |source| Error::Open { path: path.to_owned(), source };
    // A symbolic link could be turned to another's file; a FIFO must not hang us.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path) {
        Ok(file) => file,
        Err(source) if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Error::Link(path.to_owned()));
        }
        Err(source) => return Err(error(source)),
    };
    check_mode(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(error)?;
    Ok(bytes)
}

fn check_mode(path: &Path, file: &File) -> Result<(), Error> {
    let about = file.metadata().map_err(|source| Error::Open { path: path.to_owned(), source })?;
    if !about.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    let mode = about.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(Error::Writable { path: path.to_owned(), mode });
    }
    if mode & 0o004 != 0 {
        log::warn!(
            target: "notifyctl::secret",
            "{path} can be read by everybody (mode {mode:04o}); cure: chmod 0600 {path}",
            path = path.display()
        );
    }
    Ok(())
}

/// A secret that cannot be read. Never holds the value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("read {path}: {source}", path = .path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is a symbolic link.
    #[error("{path} is a symbolic link; name the file itself", path = .0.display())]
    Link(PathBuf),
    /// A directory, a FIFO or a device.
    #[error("{path} is not a regular file", path = .0.display())]
    NotAFile(PathBuf),
    /// Others than its owner may write the file.
    #[error("{path} can be written by others than its owner (mode {mode:04o}); cure: chmod 0600 {path}",
        path = .path.display())]
    Writable {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is nothing in it.
    #[error("{0} holds no secret: its first line is empty")]
    Empty(String),
    /// More than 64 KiB.
    #[error("{0} holds more than {limit} KiB: that is no secret", limit = LIMIT / 1024)]
    TooLong(String),
    /// Not UTF-8, or with a NUL in it.
    #[error("{0} does not hold text in UTF-8")]
    NotText(String),
    /// An empty argument list.
    #[error("the command is empty; write a program and its arguments: [\"pass\", \"show\", \"relay\"]")]
    NoCommand,
    /// The program cannot be started.
    #[error("run `{program}`: {source}")]
    Spawn {
        /// The program, without its arguments.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program said that it failed.
    #[error("`{program}` ended with {status}")]
    Failed {
        /// The program, without its arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The program was not done in time.
    #[error("`{program}` was not done after {seconds} seconds and was ended")]
    TooSlow {
        /// The program, without its arguments.
        program: String,
        /// The limit.
        seconds: u64,
    },
    /// A credential's name with a directory in it.
    #[error("`{0}` is not the name of a credential: no `/`, and no dot at its start")]
    CredentialName(String),
    /// Not started by systemd with credentials.
    #[error(
        "there is no credential `{0}`: ${CREDENTIALS} is not set (see LoadCredential= in systemd.exec(5))"
    )]
    NoCredentials(String),
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;
    use crate::clock;

    fn file(dir: &tempfile::TempDir, content: &[u8], mode: u32) -> PathBuf {
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn read(source: &Source) -> Result<String, String> {
        source.read().map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string())
    }

    fn sh(script: &str) -> Source {
        Source::Command(["sh", "-c", script].map(str::to_owned).to_vec())
    }

    #[test]
    fn a_files_first_line_is_the_secret_whatever_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        for content in [&b"s3 cret"[..], b"s3 cret\n", b"s3 cret\r\nuser: x\n"] {
            assert_eq!(read(&Source::File(file(&dir, content, 0o600))), Ok("s3 cret".into()));
        }
    }

    #[test]
    fn several_lines_are_several_secrets_without_comments() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::File(file(&dir, b"# new\nwhsec_b\n\n whsec_a \n", 0o600));
        let lines = source.read_lines().unwrap();
        let lines: Vec<_> = lines.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(lines, ["whsec_b", "whsec_a"]);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        let dir = tempfile::tempdir().unwrap();
        let cases: [(&[u8], u32, &str); 6] = [
            (b"", 0o600, "holds no secret"),
            (b"\nhunter2\n", 0o600, "holds no secret"),
            (b"hunter2\0", 0o600, "UTF-8"),
            (b"hunter2\xff", 0o600, "UTF-8"),
            (b"hunter2", 0o620, "(mode 0620); cure: chmod 0600"),
            (b"hunter2", 0o602, "(mode 0602); cure: chmod 0600"),
        ];
        for (content, mode, expected) in cases {
            let error = read(&Source::File(file(&dir, content, mode))).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
        let long = Source::File(file(&dir, &[b'x'; LIMIT + 1], 0o600));
        assert!(read(&long).unwrap_err().contains("64 KiB"));
    }

    #[test]
    fn a_link_a_directory_a_fifo_and_nothing_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(file(&dir, b"x", 0o600), &link).unwrap();
        assert!(read(&Source::File(link)).unwrap_err().contains("symbolic link"));
        assert!(read(&Source::File(dir.path().into())).unwrap_err().contains("not a regular file"));
        let fifo = dir.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(read(&Source::File(fifo)).unwrap_err().contains("not a regular file"));
        assert!(read(&Source::File(dir.path().join("none"))).unwrap_err().contains("No such file"));
    }

    #[test]
    fn a_command_gives_its_first_line_and_runs_without_a_shell() {
        assert_eq!(read(&sh("echo one; echo two")), Ok("one".into()));
        let argv = ["printf", "%s", "$HOME; `id`"].map(str::to_owned).to_vec();
        assert_eq!(read(&Source::Command(argv)), Ok("$HOME; `id`".into()));
    }

    #[test]
    fn a_command_that_leaves_something_in_the_background_is_not_waited_for() {
        let begun = clock::since_boot();
        assert_eq!(read(&sh("echo one; sleep 8 &")), Ok("one".into()));
        assert!(clock::since_boot() - begun < Duration::from_secs(5));
    }

    #[test]
    fn a_command_that_fails_hangs_floods_or_is_missing_is_an_error() {
        assert_eq!(read(&sh("echo hunter2; exit 3")), Err("`sh` ended with exit status: 3".into()));
        assert!(read(&sh("yes")).unwrap_err().contains("64 KiB"));
        assert!(read(&Source::Command(vec!["/nonexistent".into()])).unwrap_err().contains("No such file"));
        assert!(read(&Source::Command(vec![])).unwrap_err().contains("is empty"));
        let hangs = ["sh", "-c", "sleep 60 & echo hunter2; wait"].map(str::to_owned);
        let error = command::read(&hangs, Duration::from_millis(50)).unwrap_err().to_string();
        assert!(error.contains("was ended") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_credential_is_a_plain_name() {
        for bad in ["", "../shadow", "a/b", ".", ".."] {
            assert!(read(&Source::Credential(bad.into())).unwrap_err().contains("not the name"), "{bad}");
        }
    }

    #[test]
    fn a_source_never_shows_what_it_holds() {
        assert!(!format!("{:?}", Source::Inline("hunter2".into())).contains("hunter2"));
    }
}
