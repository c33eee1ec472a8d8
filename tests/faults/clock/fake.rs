//! A wall clock for the real binary, which the scenario sets (libfaketime); monotonic clocks run on untouched.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::Sandbox;

/// A clock that differs from the machine's by as much as was last set.
pub struct FakeClock {
    file: PathBuf,
}

impl FakeClock {
    /// The machine's time, kept in `folder`.
    pub fn new(folder: &Path) -> Self {
        let clock = Self { file: folder.join("clock") };
        clock.set(0.0);
        clock
    }

    /// Sets it to so many seconds ahead of the machine's, or behind it; programs that run see it at once.
    pub fn set(&self, ahead: f64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{ahead:+.3}")).expect("write the clock");
        std::fs::rename(new, &self.file).expect("set the clock");
    }

    /// Sets it to an instant, in seconds since 1970; says how far ahead of the machine's that is.
    pub fn set_to(&self, instant: f64) -> f64 {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        self.set(instant - machine);
        instant - machine
    }

    /// The binary, by this clock.
    pub fn notifyctl(&self, sandbox: &Sandbox) -> Command {
        let mut command = sandbox.notifyctl();
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        command
    }

    /// Runs it, expects success, and gives standard output.
    pub fn ok(&self, sandbox: &Sandbox, args: &[&str]) -> String {
        succeed(self.notifyctl(sandbox).args(args))
    }
}

/// Runs it, expects success, and gives standard output.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("run it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {} {said}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The library that makes a program go by a clock of ours.
pub fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("libfaketime is missing: `tests/run` installs it")
}
