//! The table of notifyctl(7), from what was seen.

use std::fmt::Write as _;
use std::path::PathBuf;

use notifyctl::model::Reason;

use crate::support::mail_server::Kind;

/// What was seen of one server in one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// `sent` at the first attempt, `later` at another one, `dead`, `waits`, `yes`, `no`.
    pub word: String,
    /// Why, unless it was sent at once.
    pub reason: Option<String>,
}

impl Cell {
    /// One without a reason.
    pub fn word(word: &str) -> Self {
        Self { word: word.into(), reason: None }
    }

    /// One with its reason.
    pub fn because(word: &str, reason: Reason) -> Self {
        Self { word: word.into(), reason: Some(reason.to_string()) }
    }

    /// Of a case that failed.
    pub fn failed() -> Self {
        Self::word("FAILED")
    }

    /// Of a case for which the server has nothing.
    pub fn nothing() -> Self {
        Self::word("\\(en")
    }
}

const BEGIN: &str =
    ".\\\" Seen by tests/suite/interop; NOTIFYCTL_BLESS=1 cargo test --test suite interop:: writes it.\n";
const END: &str = ".\\\" As far as this.\n";

/// Holds the page's table against what was seen, or writes it.
pub fn compare(rows: &[(&str, Vec<Cell>)]) {
    let seen = table(rows);
    let all = rows.iter().flat_map(|(_, cells)| cells);
    assert!(all.into_iter().all(|cell| *cell != Cell::failed()), "\n{seen}");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("man/notifyctl.7");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("the table's beginning");
    let (there, after) = rest.split_once(END).expect("the table's end");
    if std::env::var_os("NOTIFYCTL_BLESS").is_some() {
        let text = format!("{before}{BEGIN}{}{seen}{END}{after}", versions());
        std::fs::write(&path, text).expect("write the page");
        return;
    }
    // What it was seen with may be older than what is here: another version may do the same.
    let there_versions: String = there.split_inclusive('\n').take(versions().lines().count()).collect();
    let there = there.strip_prefix(&there_versions).expect("a prefix");
    assert_eq!(there, seen, "\nto write it: NOTIFYCTL_BLESS=1 cargo test --test suite interop::");
}

/// What it was seen with.
fn versions() -> String {
    let of = |kind: Kind| format!("{} {}", kind.name(), kind.version());
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
    let system = system.trim_matches('"').replace("GNU/Linux ", "");
    let [a, b, c] = Kind::ALL.map(of);
    format!("This was seen with {a},\n{b}\nand {c}, as packaged for {system}:\n")
}

fn table(rows: &[(&str, Vec<Cell>)]) -> String {
    let [a, b, c] = Kind::ALL.map(Kind::name);
    let mut table = format!(".Bl -column \"texts and files, equal\" {a} {b} later reason\n");
    writeln!(table, ".It Ta Em {a} Ta Em {b} Ta Em {c} Ta Em reason").expect("a string");
    for (name, cells) in rows {
        let words: Vec<_> = cells.iter().map(|cell| cell.word.as_str()).collect();
        let mut reasons: Vec<_> = cells.iter().filter_map(|cell| cell.reason.as_deref()).collect();
        reasons.dedup();
        let reason = reasons.first().copied().unwrap_or_default();
        let line = format!(".It {name} Ta {} Ta {reason}", words.join(" Ta "));
        writeln!(table, "{}", line.trim_end()).expect("a string");
        for reason in reasons.iter().skip(1) {
            writeln!(table, ".It Ta Ta Ta Ta {reason}").expect("a string");
        }
    }
    table + ".El\n"
}
