//! What a scenario found: figures beside the bounds that they must keep.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

/// One figure, and whether it is as promised.
pub struct Finding {
    what: String,
    figure: String,
    bound: String,
    kept: bool,
}

impl Finding {
    /// A figure that promises nothing: how many kills, how many cut points.
    pub fn counted(what: impl Into<String>, figure: impl fmt::Display) -> Self {
        Self { what: what.into(), figure: figure.to_string(), bound: String::new(), kept: true }
    }

    /// Must be none at all.
    pub fn none(what: impl Into<String>, figure: u64) -> Self {
        Self { bound: "0".into(), kept: figure == 0, ..Self::counted(what, figure) }
    }

    /// Must not be more.
    pub fn at_most<T: PartialOrd + fmt::Display + Copy>(what: impl Into<String>, figure: T, most: T) -> Self {
        Self { bound: format!("<= {most}"), kept: figure <= most, ..Self::counted(what, figure) }
    }

    /// Must not be fewer. This is also the form of a control, which must find what it was given to find.
    pub fn at_least<T: PartialOrd + fmt::Display + Copy>(
        what: impl Into<String>,
        figure: T,
        least: T,
    ) -> Self {
        Self { bound: format!(">= {least}"), kept: figure >= least, ..Self::counted(what, figure) }
    }

    /// The scenario itself panicked; its message stands above the table.
    pub fn broken() -> Self {
        Self { bound: "runs to its end".into(), kept: false, ..Self::counted("the scenario", "panicked") }
    }
}

/// The table of all findings.
#[derive(Default)]
pub struct Report {
    rows: Vec<(String, String, Finding)>,
}

impl Report {
    /// Adds what one scenario found, and how long it took.
    pub fn add(&mut self, scenario: &str, took: Duration, findings: Vec<Finding>) {
        let mut names = [(scenario.to_owned(), format!("{:.1} s", took.as_secs_f64()))].into_iter();
        for finding in findings {
            let (name, took) = names.next().unwrap_or_default();
            self.rows.push((name, took, finding));
        }
    }

    /// Whether every bound was kept.
    pub fn kept(&self) -> bool {
        self.rows.iter().all(|(_, _, finding)| finding.kept)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["scenario", "took", "what", "figure", "must be", ""]);
        for (name, took, Finding { what, figure, bound, kept }) in &self.rows {
            let verdict = if *kept { "" } else { "NOT KEPT" };
            table.add_row([name.as_str(), took, what, figure, bound, verdict]);
        }
        for column in [1, 3] {
            table.column_mut(column).expect("six columns").set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{table}")?;
        let missed = self.rows.iter().filter(|(_, _, finding)| !finding.kept).count();
        write!(f, "{} figures, {missed} not kept", self.rows.len())
    }
}
