//! Programs that a test makes and runs. They are written by another process: what this one has open for writing, a thread of
//! another test holds too while it is between fork and exec, and a program that somebody may still write to does not run
//! (ETXTBSY).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a program of `text`.
pub fn write(path: &Path, text: &str) {
    let mut install =
        install(Path::new("/dev/stdin"), path).stdin(Stdio::piped()).spawn().expect("run install");
    let mut stdin = install.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("hand it the program");
    drop(stdin);
    assert!(install.wait().expect("wait for install").success(), "{} was not made", path.display());
}

/// Copies a program, or what one needs.
pub fn copy(from: &Path, to: &Path) {
    let status = install(from, to).status().expect("run install");
    assert!(status.success(), "{} was not copied to {}", from.display(), to.display());
}

fn install(from: &Path, to: &Path) -> Command {
    let mut install = Command::new("install");
    install.args(["--mode=755", "-D", "--no-target-directory"]).args([from, to]);
    install
}
