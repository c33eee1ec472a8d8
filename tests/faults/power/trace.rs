//! What real commands did to the files of a folder, in order: recorded by strace, read back.
//!
//! A call that other processes' calls interrupt stands on two lines. What it changes is taken as begun with the first
//! one; what a sync promises holds from the second one on, and only for what had been written before the first.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Every call that changes a file or a name, or makes such a change durable; what is not here must not be used.
const CALLS: &str = "openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,truncate,ftruncate,fallocate,\
    copy_file_range,sendfile,unlink,unlinkat,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,rmdir,symlink,\
    symlinkat,fsync,fdatasync,sync,syncfs,sync_file_range,msync";

/// One thing that happened to a folder; paths are within it.
#[derive(Debug)]
pub enum Event {
    /// A file was opened that might not have been there; emptied, when `truncates`.
    Made {
        path: PathBuf,
        truncates: bool,
    },
    FolderMade(PathBuf),
    /// At its end, when `at` is none.
    Written {
        path: PathBuf,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Cut {
        path: PathBuf,
        length: u64,
    },
    Removed(PathBuf),
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    Linked {
        from: PathBuf,
        to: PathBuf,
    },
    /// Process `by` asks that what it sees of `path` becomes durable.
    SyncBegun {
        path: PathBuf,
        by: u32,
    },
    /// It has become durable.
    SyncEnded {
        by: u32,
    },
    /// This was told on standard output.
    Told(Vec<u8>),
}

/// Runs `command` under strace and gives what it did to `folder`. Panics when it fails.
pub fn record(command: &Command, folder: &Path) -> Vec<Event> {
    let log = tempfile::NamedTempFile::new().expect("a file for the trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-xx", "-qqq", "-s", "100000000", "-e", "signal=none"]);
    strace.args(["-e", &format!("trace={CALLS}"), "-o"]).arg(log.path());
    strace.arg(command.get_program()).args(command.get_args()).stdout(Stdio::piped()).env_clear();
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.current_dir(command.get_current_dir().unwrap_or(folder));
    let output = strace.output().expect("strace, which `tests/run` installs");
    assert!(output.status.success(), "{command:?}: {output:?}");
    Reader { folder, begun: HashMap::new(), events: Vec::new() }
        .read(&fs::read_to_string(log.path()).expect("the trace"))
}

struct Reader<'a> {
    folder: &'a Path,
    /// The first half of a call that was interrupted, by process.
    begun: HashMap<u32, String>,
    events: Vec<Event>,
}

impl Reader<'_> {
    fn read(mut self, trace: &str) -> Vec<Event> {
        for line in trace.lines() {
            let (pid, rest) = line.split_once(' ').expect("pid and call");
            let (pid, rest) = (pid.parse().expect("a pid"), rest.trim_start());
            if let Some(half) = rest.strip_suffix(" <unfinished ...>") {
                self.call_begun(pid, half);
                self.begun.insert(pid, half.to_owned());
            } else if let Some(resumed) = rest.strip_prefix("<... ") {
                let (_, end) = resumed.split_once(" resumed>").expect("a resumed call");
                let begun = self.begun.remove(&pid).expect("what is resumed has begun");
                self.call_ended(pid, &format!("{begun}{end}"));
            } else {
                self.call_begun(pid, rest);
                self.call_ended(pid, rest);
            }
        }
        self.events
    }

    /// What takes effect, or may do so, with the call's begin.
    fn call_begun(&mut self, pid: u32, text: &str) {
        let Some((name, args, _)) = parts(text) else { return };
        match name {
            "write" if args[0].starts_with("1<") => self.events.push(Event::Told(bytes(args[1]))),
            "write" | "pwrite64" => {
                let Some(path) = self.descriptor(args[0]) else { return };
                let at = args.get(3).map(|at| at.parse().expect("an offset"));
                self.events.push(Event::Written { path, at, bytes: bytes(args[1]) });
            }
            "fsync" | "fdatasync" => {
                let Some(path) = self.descriptor(args[0]) else { return };
                self.events.push(Event::SyncBegun { path, by: pid });
            }
            _ => {}
        }
    }

    /// What takes effect with the call's end.
    fn call_ended(&mut self, pid: u32, text: &str) {
        let Some((name, args, Some(result))) = parts(text) else { return };
        if result.starts_with(['-', '?']) {
            let changes = matches!(name, "write" | "pwrite64" | "fsync" | "fdatasync");
            assert!(!changes || self.descriptor(args[0]).is_none(), "{name} failed while it was recorded");
            return;
        }
        match name {
            "openat" => {
                let flags = args[2];
                let (makes, truncates) = (flags.contains("O_CREAT"), flags.contains("O_TRUNC"));
                if let (true, Some(path)) = (makes || truncates, self.named(args[1])) {
                    self.events.push(Event::Made { path, truncates });
                }
            }
            "write" | "pwrite64" => {
                let written: usize = result.parse().expect("a length");
                let whole = self.descriptor(args[0]).is_none() || written == bytes(args[1]).len();
                assert!(whole, "a short write while it was recorded");
            }
            "fsync" | "fdatasync" if self.descriptor(args[0]).is_some() => {
                self.events.push(Event::SyncEnded { by: pid });
            }
            "ftruncate" => {
                let Some(path) = self.descriptor(args[0]) else { return };
                self.events.push(Event::Cut { path, length: args[1].parse().expect("a length") });
            }
            "unlink" => self.events.extend(self.named(args[0]).map(Event::Removed)),
            "unlinkat" => self.events.extend(self.named(args[1]).map(Event::Removed)),
            "mkdir" => self.events.extend(self.named(args[0]).map(Event::FolderMade)),
            "rename" | "link" => self.moved(name, args[0], args[1]),
            "linkat" | "renameat2" => self.moved(name, args[1], args[3]),
            // Room is set aside in a file that nobody reads.
            "fsync" | "fdatasync" | "fallocate" => {}
            other => {
                let ours = args.iter().any(|arg| self.named(arg).is_some() || self.descriptor(arg).is_some());
                assert!(!ours, "a call that the model does not know: {other}");
            }
        }
    }

    fn moved(&mut self, name: &str, from: &str, to: &str) {
        let (Some(from), Some(to)) = (self.named(from), self.named(to)) else { return };
        self.events.push(match name {
            "link" | "linkat" => Event::Linked { from, to },
            _ => Event::Renamed { from, to },
        });
    }

    /// The path of a quoted argument, when it lies in the folder.
    fn named(&self, arg: &str) -> Option<PathBuf> {
        let path = arg.starts_with('"').then(|| text(arg))?;
        self.within(&path)
    }

    /// The path of `5<path>`, when it lies in the folder; `(deleted)` belongs to the name then. A file that never had
    /// a name is none of ours: no power cut leaves anything of it.
    fn descriptor(&self, arg: &str) -> Option<PathBuf> {
        let (_, path) = arg.split_once('<')?;
        let (path, deleted) = path.split_once('>')?;
        let mut path = text(path);
        if Path::new(&path).file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"#")) {
            return None;
        }
        if deleted.contains("deleted") {
            path.push_str(DELETED);
        }
        self.within(&path)
    }

    fn within(&self, path: &str) -> Option<PathBuf> {
        Path::new(path).strip_prefix(self.folder).ok().map(Path::to_owned)
    }
}

/// A call's name, its arguments and, when it has ended, its result.
fn parts(text: &str) -> Option<(&str, Vec<&str>, Option<&str>)> {
    let (call, result) = match text.rsplit_once(" = ") {
        Some((call, result)) => (call.trim_end().strip_suffix(')')?, Some(result)),
        None => (text, None),
    };
    let (name, args) = call.split_once('(')?;
    Some((name, args.split(", ").collect(), result))
}

/// What stands behind the name of a file that has none any more.
pub const DELETED: &str = " (deleted)";

fn text(hex: &str) -> String {
    String::from_utf8(bytes(hex)).expect("a name in UTF-8")
}

/// `"\x68\x69"`, with or without its quotes.
fn bytes(hex: &str) -> Vec<u8> {
    assert!(!hex.ends_with("..."), "a string that was cut short");
    let digits = hex.trim_matches('"').split("\\x").skip(1);
    digits.map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect()
}
