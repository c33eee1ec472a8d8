//! The bar of a pass on a terminal: how many are done, how fast, and how long the rest takes.

use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::delivery::{Observer, Seen};

/// A bar on standard error; nothing where nobody looks.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Starts a bar for `pending` notifications, of which at most `limit` are attempted.
    pub(super) fn start(pending: u64, limit: Option<u64>) -> Self {
        let length = pending.min(limit.unwrap_or(u64::MAX));
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if length == 0 || dumb || !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(length);
        let template =
            "sending {bar:24.cyan} {percent:>3} %  {human_pos} of {human_len}  {rate}/s  {eta} left  {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("rate", |state: &ProgressState, to: &mut dyn Write| {
            let _ = write!(to, "{}", HumanCount(state.per_sec() as u64));
        }));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(Some(bar))
    }

    /// What tells the engine's rounds to the bar.
    pub(super) fn observer(&self) -> Observer {
        match self.0.clone() {
            None => Box::new(|_| ()),
            Some(bar) => Box::new(move |seen| {
                let Seen::Round(tally) = seen else { return };
                bar.set_position(tally.done() + tally.total.deferred);
                if tally.total.deferred + tally.total.dead > 0 {
                    bar.set_message(format!("{} deferred, {} dead", tally.total.deferred, tally.total.dead));
                }
            }),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
