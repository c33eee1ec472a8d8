//! A disk of a few mebibytes that a test can fill, or that takes nothing: a tmpfs of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;

use tempfile::TempDir;

/// Mounted on a folder of its own; gone when dropped.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts it. Panics when that is not allowed.
    pub fn mount(bytes: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let options = format!("size={bytes},mode=0700");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "notifyctl-faults"])
            .arg(folder.path())
            .output()
            .expect("mount, of util-linux");
        assert!(mount.status.success(), "mount: {}", String::from_utf8_lossy(&mount.stderr));
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes the room that is left, but for so many bytes.
    pub fn fill_but(&self, bytes: u64) {
        self.fill();
        let filler = File::options().write(true).open(self.path().join("filler")).expect("open the filler");
        let length = filler.metadata().expect("its length").len();
        filler.set_len(length - bytes).expect("give some of it back");
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).expect("make the filler");
        // At last single pages, so that nothing is left between.
        for block in [64 << 10, 4 << 10] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
    }

    /// Gives it back.
    pub fn empty(&self) {
        fs::remove_file(self.path().join("filler")).expect("remove the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: when a scenario broke off, somebody may still be at work on it.
        let unmount = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
        let gone = unmount.is_ok_and(|status| status.success());
        assert!(gone || thread::panicking(), "umount {}", self.folder.path().display());
    }
}

/// A folder that takes nothing, over one of the same that does; whoever has opened a file there before does not see it.
pub struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    /// Lays it over the folder. Panics when that is not allowed.
    pub fn cover(folder: &'a Path) -> Self {
        let mount = |how: &[&str]| {
            let made = Command::new("mount").args(how).arg(folder).status();
            assert!(made.expect("mount, of util-linux").success(), "mount {how:?}");
        };
        mount(&["--bind", folder.to_str().expect("UTF-8")]);
        mount(&["-o", "remount,bind,ro"]);
        Self(folder)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let unmount = Command::new("umount").arg("--lazy").arg(self.0).status();
        assert!(unmount.is_ok_and(|status| status.success()) || thread::panicking(), "umount");
    }
}

/// Whether this process may mount.
pub fn may_mount() -> bool {
    rustix::process::geteuid().is_root()
}
