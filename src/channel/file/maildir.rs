//! Delivery into a Maildir: written and synced in `tmp`, then named in `new`, where readers look.
//!
//! The form is D. J. Bernstein's (<https://cr.yp.to/proto/maildir.html>) with one twist: the name follows
//! from the notification, not from the moment, so that an attempt repeated after a crash finds the mail
//! of the one before instead of delivering it twice. What a reader has meanwhile moved to another folder
//! or deleted is not found, and delivered again. Leftovers of others in `tmp` are the readers' to remove.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{Failure, sync_folder};
use crate::channel::Envelope;

/// The most bytes of the domain that a file's name holds: 255 are the limit of most file systems, and
/// readers append their flags.
const HOST_LIMIT: usize = 100;

/// A folder with `tmp`, `new` and `cur`.
pub struct Maildir {
    path: PathBuf,
}

impl Maildir {
    /// The one at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Delivers `mail` under `name`, once; makes the folders if they are missing. Says where it lies.
    pub fn deliver(&self, name: &str, attempt: u32, mail: &[u8]) -> Result<String, Failure> {
        self.make()?;
        if attempt > 1 {
            self.remove_leftovers(name)?;
            if let Some(place) = self.read_already(name)? {
                return Ok(place);
            }
        }
        let new = self.path.join("new").join(name);
        let tmp = self.path.join("tmp").join(format!("{name}.{}", unique()?));
        let delivered = write(&tmp, mail).and_then(|()| publish(&tmp, &new));
        // After `publish` nothing is left there unless it was delivered before; an error is no news.
        let _ = fs::remove_file(&tmp);
        delivered?;
        // Also when it was there before: that attempt may have died before it came to this.
        sync_folder(&self.path.join("new"))?;
        Ok(new.display().to_string())
    }

    fn make(&self) -> Result<(), Failure> {
        if make_folder(&self.path)? {
            sync_folder(self.path.parent().unwrap_or(&self.path))?;
        }
        let mut made = false;
        for part in ["tmp", "new", "cur"] {
            made |= make_folder(&self.path.join(part))?;
        }
        if made { sync_folder(&self.path) } else { Ok(()) }
    }

    /// What an earlier attempt at the same notification left in `tmp` when it was killed.
    fn remove_leftovers(&self, name: &str) -> Result<(), Failure> {
        for path in self.named("tmp", name)? {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::new("remove", &path, source));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where it lies if an earlier attempt delivered it and a reader has since seen it.
    fn read_already(&self, name: &str) -> Result<Option<String>, Failure> {
        Ok(self.named("cur", name)?.next().map(|path| path.display().to_string()))
    }

    /// The files of one part whose name is `name` with or without something appended, as readers append
    /// `:2,S` and some of them `,S=123` before that.
    fn named<'a>(&self, part: &str, name: &'a str) -> Result<impl Iterator<Item = PathBuf> + 'a, Failure> {
        let folder = self.path.join(part);
        let entries = fs::read_dir(&folder).map_err(|source| Failure::new("list", &folder, source))?;
        Ok(entries.flatten().filter_map(move |entry| {
            let file_name = entry.file_name();
            let rest = file_name.to_str()?.strip_prefix(name)?;
            matches!(rest.bytes().next(), None | Some(b':' | b',' | b'.')).then(|| entry.path())
        }))
    }
}

/// The name of the mail: when it was enqueued, which notification it is, and where it came from.
pub fn name(envelope: &Envelope) -> String {
    let seconds = envelope.created_at.0.div_euclid(1000);
    let host: String = envelope
        .message_domain
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .take(HOST_LIMIT)
        .collect();
    format!("{seconds}.{}.{host}", envelope.stable_id)
}

/// Mail as files hold it: a line ends with LF alone.
pub fn with_unix_line_ends(mail: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(mail.len());
    for (i, &byte) in mail.iter().enumerate() {
        if !(byte == b'\r' && mail.get(i + 1) == Some(&b'\n')) {
            lines.push(byte);
        }
    }
    lines
}

/// Two workers may be at it when one was long thought dead: each has a file of its own in `tmp`.
fn unique() -> Result<String, Failure> {
    let random = getrandom::u64().map_err(|error| Failure {
        doing: "draw a random number from",
        path: PathBuf::from("the system"),
        source: io::Error::other(error),
    })?;
    Ok(format!("{random:016x}"))
}

/// Whether it had to be made.
fn make_folder(path: &Path) -> Result<bool, Failure> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(Failure::new("make the folder", path, source)),
    }
}

fn write(tmp: &Path, mail: &[u8]) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(tmp);
    let mut file = opened.map_err(|source| Failure::new("create", tmp, source))?;
    file.write_all(mail).map_err(|source| Failure::new("write", tmp, source))?;
    file.sync_all().map_err(|source| Failure::new("sync", tmp, source))
}

/// Gives it its name in `new`, unless that name is taken: then it was delivered by an earlier attempt.
fn publish(tmp: &Path, new: &Path) -> Result<(), Failure> {
    let named = match renameat_with(CWD, tmp, CWD, new, RenameFlags::NOREPLACE) {
        // Not every file system can rename without replacing (NFS); linking never replaces.
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::link(tmp, new),
        named => named,
    };
    match named {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Failure::new("create", new, errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NAME: &str = "1763000000.17-5f0c.example.org";

    fn maildir() -> (tempfile::TempDir, Maildir) {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::new(&dir.path().join("outbox"));
        (dir, maildir)
    }

    fn listed(maildir: &Maildir, part: &str) -> Vec<String> {
        let entries = fs::read_dir(maildir.path.join(part)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_and_mail_are_the_owners_alone() {
        let (_dir, maildir) = maildir();
        let place = maildir.deliver(NAME, 1, b"mail\n").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"mail\n");
        assert_eq!(mode(Path::new(&place)), 0o600);
        for part in ["", "tmp", "new", "cur"] {
            assert_eq!(mode(&maildir.path.join(part)), 0o700, "{part}");
        }
        assert_eq!(listed(&maildir, "tmp"), [""; 0]);
    }

    #[test]
    fn a_repeated_attempt_delivers_once_wherever_a_reader_has_put_it() {
        let (_dir, maildir) = maildir();
        let place = maildir.deliver(NAME, 1, b"mail\n").unwrap();
        assert_eq!(maildir.deliver(NAME, 2, b"mail\n").unwrap(), place);
        for seen in ["", ":2,", ":2,RS", ",S=5:2,S"] {
            let cur = maildir.path.join("cur").join(format!("{NAME}{seen}"));
            fs::rename(&place, &cur).unwrap();
            assert_eq!(maildir.deliver(NAME, 3, b"mail\n").unwrap(), cur.to_str().unwrap());
            assert_eq!(listed(&maildir, "new"), [""; 0]);
            fs::rename(&cur, &place).unwrap();
        }
    }

    #[test]
    fn another_notification_with_a_longer_name_is_not_taken_for_it() {
        let (_dir, maildir) = maildir();
        maildir.deliver(&format!("{NAME}x"), 1, b"other\n").unwrap();
        fs::rename(
            maildir.path.join("new").join(format!("{NAME}x")),
            maildir.path.join("cur").join(format!("{NAME}x:2,S")),
        )
        .unwrap();
        maildir.deliver(NAME, 2, b"mail\n").unwrap();
        assert_eq!(listed(&maildir, "new"), [NAME]);
    }

    /// What a worker killed between `tmp` and `new` leaves behind.
    #[test]
    fn a_leftover_of_a_killed_attempt_is_replaced_and_removed() {
        let (_dir, maildir) = maildir();
        maildir.make().unwrap();
        fs::write(maildir.path.join("tmp").join(format!("{NAME}.0123456789abcdef")), b"ma").unwrap();
        fs::write(maildir.path.join("tmp/1763000000.18-5f0c.example.org.00"), b"another's").unwrap();
        let place = maildir.deliver(NAME, 2, b"mail\n").unwrap();
        assert_eq!(fs::read(place).unwrap(), b"mail\n");
        assert_eq!(listed(&maildir, "tmp"), ["1763000000.18-5f0c.example.org.00"]);
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let (dir, maildir) = maildir();
        fs::write(dir.path().join("outbox"), b"a file").unwrap();
        let failure = maildir.deliver(NAME, 1, b"mail\n").unwrap_err().to_string();
        assert!(failure.contains("outbox/tmp: Not a directory"), "{failure}");
        let missing = Maildir::new(&dir.path().join("no/outbox"));
        let failure = missing.deliver(NAME, 1, b"mail\n").unwrap_err().to_string();
        assert!(failure.starts_with("make the folder ") && failure.contains("No such file"), "{failure}");
    }

    #[test]
    fn only_line_ends_are_turned() {
        assert_eq!(with_unix_line_ends(b"a\r\n.\r\n\r\r\nb\rc\r"), b"a\n.\n\r\nb\rc\r");
    }
}
