//! Pairs, medians and the rows that show them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// One line of the table.
pub struct Row {
    /// What was done.
    pub work: String,
    /// Ours and the floor, as shown.
    pub ours: String,
    pub floor: String,
    /// What the floor is.
    pub against: String,
    /// Ours against the floor, as the budget means it.
    pub ratio: f64,
    pub budget: Budget,
}

pub enum Budget {
    AtMost(f64),
    AtLeast(f64),
}

impl Budget {
    /// Whether this ratio keeps it.
    pub fn allows(&self, ratio: f64) -> bool {
        match self {
            Self::AtMost(most) => ratio <= *most,
            Self::AtLeast(least) => ratio >= *least,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

impl Row {
    pub fn kept(&self) -> bool {
        self.budget.allows(self.ratio)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.kept() { "" } else { "  MISSED" };
        write!(
            f,
            "{:<52} {:>12} {:>12} {:>8.3} {:>8}{mark}",
            self.work,
            self.ours,
            self.floor,
            self.ratio,
            self.budget.to_string()
        )
    }
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that the given share of all is at most as large as.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1]
}

/// How long one call takes, in seconds.
pub fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The medians of both, and of the ratios a/b of pairs run in turn.
pub fn pairs(count: usize, mut a: impl FnMut() -> f64, mut b: impl FnMut() -> f64) -> (f64, f64, f64) {
    let (mut all_a, mut all_b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..count {
        // Whoever comes second finds a warm disk: they take turns at that too.
        let (one, other) = if turn % 2 == 0 {
            let one = a();
            (one, b())
        } else {
            let other = b();
            (a(), other)
        };
        all_a.push(one);
        all_b.push(other);
        ratios.push(one / other);
    }
    (median(&mut all_a), median(&mut all_b), median(&mut ratios))
}

/// The binary with a configuration in `folder`, silent.
pub fn notifyctl(folder: &Path, config: &str) -> Command {
    let file = folder.join("notifyctl.toml");
    let text = format!("[store]\nurl = \"sqlite://{}\"\n{config}", folder.join("n.db").display());
    std::fs::write(&file, text).expect("write the configuration");
    configured(&file)
}

/// The binary with a configuration that is there, silent.
pub fn configured(file: &Path) -> Command {
    let mut command = Command::new(&installed().0);
    command.env("NOTIFYCTL_CONFIG", file).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// notifyctl and this program as they are once installed: copies of what the linker wrote piece by piece, which the
/// machine starts a fifth more slowly.
fn installed() -> &'static (PathBuf, PathBuf) {
    static INSTALLED: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed");
        std::fs::create_dir_all(&folder).expect("a folder");
        let own = std::env::current_exe().expect("our own path");
        let [ours, floor] = [(Path::new(env!("CARGO_BIN_EXE_notifyctl")), "notifyctl"), (&own, "floor")].map(
            |(from, name)| {
                let to = folder.join(name);
                // Not into the file that is there, which may be a running program.
                let _ = std::fs::remove_file(&to);
                std::fs::copy(from, &to).expect("copy a program");
                to
            },
        );
        (ours, floor)
    })
}

/// This program as one of its own floors.
pub fn floor(args: &[&str]) -> Command {
    let mut command = Command::new(&installed().1);
    command.arg("floor").args(args).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

pub fn succeed(command: &mut Command) {
    let status = command.status().expect("it starts");
    assert!(status.success(), "{command:?}: {status}");
}

/// Runs it and answers with the most memory it had, in MiB.
pub fn peak_mib(command: &mut Command) -> f64 {
    let mut child = command.spawn().expect("it starts");
    let mut peak = 0.0;
    loop {
        peak = resident_peak(&child).unwrap_or(peak);
        if let Some(status) = child.try_wait().expect("wait") {
            assert!(status.success(), "{command:?}: {status}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The kernel's own high-water mark, so that no peak between two looks is missed (but one in the last 5 ms).
fn resident_peak(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
