//! How far a batch is, for a person at a terminal; nothing at all for anybody else.

use std::io::{self, IsTerminal};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// A bar on standard error, or nothing.
pub struct Progress {
    bar: Option<ProgressBar>,
    rows: u64,
    shown: u64,
}

impl Progress {
    /// The bar is looked at after so many rows, or after so many bytes: it must not cost what it measures.
    const ROWS: u64 = 256;
    const BYTES: u64 = 1 << 20;

    /// Starts a bar over `size` bytes, or one without an end.
    pub fn start(doing: &'static str, size: Option<u64>) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let bar = (io::stderr().is_terminal() && !dumb).then(|| bar(doing, size));
        Self { bar, rows: 0, shown: 0 }
    }

    /// Counts a row; `bytes` are those read so far.
    pub fn row(&mut self, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        self.rows += 1;
        if self.rows.is_multiple_of(Self::ROWS) || bytes - self.shown > Self::BYTES {
            self.shown = bytes;
            let rate = self.rows as f64 / bar.elapsed().as_secs_f64().max(0.001);
            bar.set_message(format!("{} rows  {}/s", HumanCount(self.rows), HumanCount(rate as u64)));
            bar.set_position(bytes);
        }
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Colours follow NO_COLOR by themselves. Shown at once: the store may let us wait before the first row.
fn bar(doing: &'static str, size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{prefix} {bar:24.cyan} {percent:>3} %  {msg}  {eta} left"),
        None => (ProgressBar::no_length(), "{prefix} {spinner} {bytes}  {msg}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = bar.with_style(style).with_prefix(doing);
    bar.tick();
    bar
}
