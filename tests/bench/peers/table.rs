//! The table: a line a peer, on the terminal and in the README.

use comfy_table::{CellAlignment, Table, presets};

use super::packages::Packages;
use super::{Attempt, Work};
use crate::measure::Budget;
use crate::readme;

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
        self.outcome
            .as_ref()
            .is_ok_and(|outcome| self.budget.as_ref().is_none_or(|budget| budget.allows(outcome.ratio)))
    }

    fn cells(&self, unit: Unit) -> Vec<String> {
        let limit = self.budget.as_ref().map(Budget::to_string);
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
pub fn ratio(ratio: f64) -> String {
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
    let tools = packages.named(&["node", "python", "redis", "postgresql"]);
    let mut shown = format!("{}, {tools}.\n", readme::setting());
    for work in works {
        shown += &format!("\n**{}**\n\n{}\n", work.title, text(work));
    }
    readme::put("<!-- tests/bench/compare writes this -->", &shown);
}
