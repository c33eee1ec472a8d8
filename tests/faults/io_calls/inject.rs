//! One command in which one call fails: strace lets the `n`th such call of each thread fail, once.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A call that fails, and how. Calls that a command makes on other things than files are told apart by `only_files`.
#[derive(Clone, Copy)]
pub struct Fault {
    pub call: &'static str,
    pub error: &'static str,
    /// Only where the call is about a file of ours: pipes, sockets and the like use it too.
    pub only_files: bool,
}

/// In place of an error: the command dies.
pub const DEATH: &str = "death";

/// What a command came to in which a call failed.
pub struct Outcome {
    /// The calls that failed, as strace tells them; none when there was no `n`th.
    pub struck: Vec<String>,
    pub code: Option<i32>,
    pub stderr: String,
}

const fn fault(call: &'static str, error: &'static str) -> Fault {
    Fault { call, error, only_files: false }
}

const fn on_files(call: &'static str, error: &'static str) -> Fault {
    Fault { call, error, only_files: true }
}

/// Every call on files that notifyctl makes, with the errors that it can have there.
pub const FAULTS: [Fault; 28] = [
    fault("pwrite64", "ENOSPC"),
    fault("pwrite64", "EIO"),
    fault("fdatasync", "EIO"),
    fault("fdatasync", "ENOSPC"),
    fault("fsync", "EIO"),
    fault("fsync", "EROFS"),
    fault("pread64", "EIO"),
    fault("openat", "EMFILE"),
    fault("openat", "EIO"),
    fault("openat", "EROFS"),
    fault("openat", "ENOSPC"),
    on_files("write", "ENOSPC"),
    on_files("write", "EIO"),
    on_files("read", "EIO"),
    fault("ftruncate", "EIO"),
    fault("ftruncate", "ENOSPC"),
    fault("unlink", "EIO"),
    fault("unlink", "EROFS"),
    fault("rename", "ENOSPC"),
    fault("renameat2", "EIO"),
    fault("linkat", "ENOSPC"),
    fault("link", "ENOSPC"),
    fault("mkdir", "ENOSPC"),
    fault("mkdir", "EROFS"),
    fault("fallocate", "ENOSPC"),
    fault("fallocate", "EIO"),
    fault("flock", "ENOLCK"),
    fault("getdents64", "EIO"),
];

/// Runs `command` with the `n`th call failing; standard output goes to the file `out`.
pub fn run(command: &Command, fault: Fault, n: usize, files: &[&Path], out: &Path) -> Outcome {
    let Fault { call, error, only_files } = fault;
    let effect = if error == DEATH { "signal=KILL".into() } else { format!("error={error}") };
    let mut options = vec![format!("trace={call}"), format!("inject={call}:{effect}:when={n}")];
    let mut paths = Vec::new();
    if only_files {
        paths.extend(files.iter().chain([&out]).flat_map(|path| ["-P".into(), path.display().to_string()]));
    }
    options = options.into_iter().flat_map(|option| ["-e".into(), option]).collect();
    let (output, trace) = traced(command, &[options, paths].concat(), out);
    let struck = trace.lines().filter(|line| line.contains("(INJECTED)")).map(str::to_owned).collect();
    Outcome {
        struck,
        code: output.status.code(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// How many such calls the loader makes before notifyctl itself begins: they are not ours to bear.
pub fn of_the_loader(command: &Command, call: &str, out: &Path) -> usize {
    let (_, trace) = traced(command, &["-e".into(), format!("trace={call}")], out);
    let of_a_library = |line: &str| line.contains("/lib/") || line.contains("/ld.so");
    trace.lines().collect::<Vec<_>>().iter().rposition(|line| of_a_library(line)).map_or(0, |last| last + 1)
}

fn traced(command: &Command, options: &[String], out: &Path) -> (std::process::Output, String) {
    let log = tempfile::NamedTempFile::new().expect("a file for the trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qqq", "-e", "signal=none", "-o"]).arg(log.path()).args(options);
    strace.arg(command.get_program()).args(command.get_args()).env_clear();
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.current_dir(command.get_current_dir().expect("the sandbox"));
    strace.stdout(fs::File::create(out).expect("make the file for standard output"));
    let output = strace.output().expect("strace, which `tests/run` installs");
    (output, fs::read_to_string(log.path()).expect("the trace"))
}
