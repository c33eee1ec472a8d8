//! What was measured, and where, as the README shows it.

use std::path::Path;
use std::process::Command;

use comfy_table::{CellAlignment, Table, presets};

use crate::measure::Row;

/// Puts `text` into the README, behind the line `mark` and before the next `<!-- to here -->`.
pub fn put(mark: &str, text: &str) {
    const END: &str = "<!-- to here -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let (before, rest) = readme.split_once(mark).expect("README.md has the first mark");
    let (_, after) = rest.split_once(END).expect("README.md has the second mark");
    std::fs::write(&path, format!("{before}{mark}\n{text}{END}{after}")).expect("write README.md");
}

/// The rows, in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["work", "notifyctl", "there", "against", "ratio", "budget"]);
    for row in rows {
        let verdict = if row.kept() { "kept" } else { "**missed**" };
        table.add_row([
            row.work.clone(),
            row.ours.clone(),
            row.floor.clone(),
            row.against.clone(),
            format!("{:.2}", row.ratio),
            format!("{}, {verdict}", row.budget),
        ]);
    }
    for column in [1, 2, 4] {
        table.column_mut(column).expect("six columns").set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// When, where and what was measured.
pub fn setting() -> String {
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
        "{date}, {cpu}, {cores} cores, {memory:.0} GiB, {system}, Linux {kernel}, {disk}; notifyctl {version} ({commit})",
        date = chrono::Local::now().format("%-d %B %Y"),
        cpu = first("/proc/cpuinfo", "model name"),
        memory = memory / 1024.0 / 1024.0,
        system = first("/etc/os-release", "PRETTY_NAME"),
        kernel = said("uname", &["-r"]),
        disk = said("findmnt", &["-n", "-o", "FSTYPE", "-T", &folder.to_string_lossy()]),
        version = env!("CARGO_PKG_VERSION"),
        commit = said("git", &["rev-parse", "--short", "HEAD"]),
    )
}
