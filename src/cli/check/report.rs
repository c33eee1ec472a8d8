//! The form of a monitoring plugin's answer: one line for the pager, numbers behind a `|`, then the rest.
//!
//! After the Monitoring Plugins Development Guidelines (<https://www.monitoring-plugins.org/doc/guidelines.html>).

use std::fmt::Display;

use super::limits::{Limits, State};

/// What was found so far.
#[derive(Debug)]
pub(super) struct Report {
    state: State,
    /// What is not well, each with its state.
    problems: Vec<(State, String)>,
    numbers: Vec<String>,
    details: Vec<String>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self { state: State::Ok, problems: Vec::new(), numbers: Vec::new(), details: Vec::new() }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Counts what was judged; `what` is said when it is not well.
    pub(super) fn judged(&mut self, state: State, what: impl FnOnce() -> String) {
        if state > State::Ok {
            self.state = self.state.max(state);
            self.problems.push((state, what()));
        }
    }

    /// A number with its unit and, as far as there are any, the limits above which it is not well.
    pub(super) fn number<T: Copy>(
        &mut self,
        label: &str,
        value: impl Display,
        unit: &str,
        limits: Option<Limits<T>>,
        shown: impl Fn(T) -> String,
    ) {
        let limit = |limit: Option<T>| limit.map(&shown).unwrap_or_default();
        let (warning, critical) = limits.map_or((None, None), |limits| (limits.warning, limits.critical));
        self.numbers.push(format!("{label}={value}{unit};{};{};0", limit(warning), limit(critical)));
    }

    /// A line below the first one.
    pub(super) fn detail(&mut self, line: String) {
        self.details.push(line);
    }

    /// The whole answer; `well` is its first line when all is well.
    pub(super) fn lines(&self, well: &str) -> Vec<String> {
        let mut problems: Vec<_> = self.problems.iter().collect();
        problems.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
        let said: Vec<_> = problems.iter().map(|(_, what)| what.as_str()).collect();
        let said = if said.is_empty() { well.to_owned() } else { said.join(", ") };
        let first = format!("NOTIFYCTL {} - {}", self.state, unbarred(&said));
        let first = match self.numbers.join(" ") {
            numbers if numbers.is_empty() => first,
            numbers => format!("{first} | {numbers}"),
        };
        std::iter::once(first).chain(self.details.iter().map(|line| unbarred(line))).collect()
    }
}

/// Without what would begin the numbers.
pub(super) fn unbarred(text: &str) -> String {
    text.replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_no_text_begins_the_numbers() {
        let mut report = Report::new();
        report
            .number("dead", 3, "", Some(Limits { warning: Some(1), critical: None }), |n: u64| n.to_string());
        assert_eq!(report.lines("all | well"), ["NOTIFYCTL OK - all / well | dead=3;1;;0"]);
        report.judged(State::Warning, || "3 dead".into());
        report.judged(State::Critical, || "nobody sends".into());
        report.judged(State::Ok, || unreachable!("all is well"));
        report.detail("a|b".into());
        assert_eq!(
            report.lines("all well"),
            ["NOTIFYCTL CRITICAL - nobody sends, 3 dead | dead=3;1;;0", "a/b"]
        );
    }
}
