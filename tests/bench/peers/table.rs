//! The table: a line a peer, on the terminal and in the README.

use std::path::Path;
use std::process::Command;

use comfy_table::{CellAlignment, Table, presets};

use super::packages::Packages;
use super::{Attempt, Work};
use crate::measure::Budget;

/// Between these the README's table stands.
const MARKS: [&str; 2] = ["<!-- tests/bench/compare writes this -->\n", "<!-- to here -->"];

/// What a figure counts.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Seconds for one: less is better.
    Each,
    /// So many a second: more is better.
    Rate,
}

/// A peer beside notifyctl.
pub struct Line {
    pub name: &'static str,
    pub how: &'static str,
    pub budget: Option<Budget>,
    pub outcome: Attempt<Outcome>,
}

/// The medians, and the median of the ratios ours/theirs.
pub struct Outcome {
    pub version: String,
    pub ours: f64,
    pub theirs: f64,
    pub ratio: f64,
}

impl Line {
    /// Whether the peer was there, and its budget is kept.
    pub fn kept(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|outcome| {
            self.budget.as_ref().is_none_or(|budget| match budget {
                Budget::AtMost(most) => outcome.ratio <= *most,
                Budget::AtLeast(least) => outcome.ratio >= *least,
            })
        })
    }

    fn cells(&self, unit: Unit) -> Vec<String> {
        let limit = self.budget.as_ref().map(|budget| match budget {
            Budget::AtMost(most) => format!("≤ {most}"),
            Budget::AtLeast(least) => format!("≥ {least}"),
        });
        match &self.outcome {
            Ok(outcome) => {
                let verdict = if self.kept() { "kept" } else { "**missed**" };
                let budget = limit.map(|limit| format!("{limit}, {verdict}"));
                vec![
                    format!("{} {}", self.name, outcome.version).trim_end().to_owned(),
                    unit.show(outcome.theirs),
                    unit.show(outcome.ours),
                    ratio(outcome.ratio),
                    budget.unwrap_or_default(),
                    self.how.to_owned(),
                ]
            }
            Err(why) => vec![
                self.name.to_owned(),
                "missing".to_owned(),
                String::new(),
                String::new(),
                limit.unwrap_or_default(),
                why.replace(['\n', '|'], " "),
            ],
        }
    }
}

impl Unit {
    fn show(self, figure: f64) -> String {
        match self {
            Self::Each => format!("{:.1} ms", figure * 1e3),
            Self::Rate => format!("{}/s", grouped(figure.round() as u64)),
        }
    }
}

/// Three digits that matter.
fn ratio(ratio: f64) -> String {
    match ratio {
        big if big >= 100.0 => format!("{big:.0}"),
        middle if middle >= 10.0 => format!("{middle:.1}"),
        small if small >= 0.1 => format!("{small:.2}"),
        tiny => format!("{tiny:.4}"),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A work's lines, in Markdown.
pub fn text(work: &Work<'_>) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["against", "there", "notifyctl", "ratio", "budget", "how, and how durable"]);
    for line in &work.lines {
        table.add_row(line.cells(work.unit));
    }
    for column in 1..=3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// Puts all of it between the README's two marks.
pub fn write_readme(works: &[Work<'_>], packages: &Packages) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let (before, rest) = readme.split_once(MARKS[0]).expect("README.md has the first mark");
    let (_, after) = rest.split_once(MARKS[1]).expect("README.md has the second mark");
    let mut shown = format!("{}\n", setting(packages));
    for work in works {
        shown += &format!("\n**{}**\n\n{}\n", work.title, text(work));
    }
    let [begin, end] = MARKS;
    std::fs::write(&path, format!("{before}{begin}{shown}{end}{after}")).expect("write README.md");
}

/// When, where and what was measured.
fn setting(packages: &Packages) -> String {
    let first = |file: &str, key: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned));
        line.unwrap_or_default().trim_matches([' ', '\t', ':', '=', '"']).to_owned()
    };
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let memory: f64 = first("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let folder = std::env::temp_dir();
    format!(
        "{date}, {cpu}, {cores} cores, {memory:.0} GiB, {system}, Linux {kernel}, {disk}; notifyctl {version} ({commit}), {tools}.",
        date = chrono::Local::now().format("%-d %B %Y"),
        cpu = first("/proc/cpuinfo", "model name"),
        memory = memory / 1024.0 / 1024.0,
        system = first("/etc/os-release", "PRETTY_NAME"),
        kernel = said("uname", &["-r"]),
        disk = said("findmnt", &["-n", "-o", "FSTYPE", "-T", &folder.to_string_lossy()]),
        version = env!("CARGO_PKG_VERSION"),
        commit = said("git", &["rev-parse", "--short", "HEAD"]),
        tools = packages.named(&["node", "python", "redis", "postgresql"]),
    )
}
