//! How text for people is written: colours, numbers, instants, and values that must not steer a terminal.
//!
//! Programs read JSON instead; nothing here decides anything.

use std::fmt::Display;

use anstyle::{AnsiColor, Effects, Style};
use chrono::{DateTime, Local};

use crate::model::{Status, Timestamp};
use crate::units;

/// For whom text is written, and at which moment.
#[derive(Debug, Clone, Copy)]
pub struct Face {
    /// Whether colours are shown: on a terminal that has them, and without `NO_COLOR`.
    pub colour: bool,
    /// The terminal's width in columns; `None` when nobody looks, and nothing is cut off.
    pub width: Option<u16>,
    /// The moment that instants are told from.
    pub now: Timestamp,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// A title.
    Title,
    /// As wanted.
    Good,
    /// Under way.
    Busy,
    /// Needs an eye.
    Warn,
    /// Needs a hand.
    Bad,
    /// Of less interest.
    Dim,
}

impl Paint {
    /// The colour of a status.
    #[must_use]
    pub fn of(status: Status) -> Self {
        match status {
            Status::Pending => Self::Plain,
            Status::Held | Status::Expired => Self::Warn,
            Status::Sending => Self::Busy,
            Status::Sent => Self::Good,
            Status::Dead => Self::Bad,
            Status::Cancelled => Self::Dim,
        }
    }

    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Title => Style::new().effects(Effects::BOLD),
            Self::Good => colour(AnsiColor::Green),
            Self::Busy => colour(AnsiColor::Cyan),
            Self::Warn => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red).effects(Effects::BOLD),
            Self::Dim => Style::new().effects(Effects::DIMMED),
        }
    }
}

impl Face {
    /// `text` in its colour.
    #[must_use]
    pub fn paint(&self, paint: Paint, text: impl Display) -> String {
        if !self.colour || paint == Paint::Plain {
            return text.to_string();
        }
        let style = paint.style();
        format!("{style}{text}{style:#}")
    }

    /// A status in its colour.
    #[must_use]
    pub fn status(&self, status: Status) -> String {
        self.paint(Paint::of(status), status)
    }

    /// A line, broken at blanks where the terminal ends; what follows is indented by `indent` columns. A word that is longer, a
    /// path or an address, stays whole: the terminal breaks it, and gives it whole to who copies it.
    #[must_use]
    pub fn wrap(&self, line: &str, indent: usize) -> Vec<String> {
        let Some(width) = self.width else { return vec![line.to_owned()] };
        let indent = " ".repeat(indent);
        let options = textwrap::Options::new(width.into())
            .subsequent_indent(&indent)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        textwrap::wrap(line, options).into_iter().map(Into::into).collect()
    }

    /// An instant as a distance and on the clock: `in 4 m 10 s (03:04:22)`.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> String {
        format!("{} ({})", self.distance(at), self.clock(at))
    }

    /// A past instant as something is told since then: `02:17:05 (47 m ago)`.
    #[must_use]
    pub fn since(&self, at: Timestamp) -> String {
        format!("{} ({})", self.clock(at), self.distance(at))
    }

    /// An instant as a distance: `47 m ago`, `in 10 s`, `now`.
    #[must_use]
    pub fn distance(&self, at: Timestamp) -> String {
        units::ago(at, self.now)
    }

    /// An instant on the local clock, with the date unless it is today.
    #[must_use]
    pub fn clock(&self, at: Timestamp) -> String {
        let (Some(time), Some(now)) = (local(at), local(self.now)) else {
            return crate::wire::rfc3339(at);
        };
        let same_day = time.date_naive() == now.date_naive();
        time.format(if same_day { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string()
    }
}

/// An instant on the local clock, whole: `2026-11-20 03:04:22 +01:00`.
#[must_use]
pub fn date(at: Timestamp) -> String {
    local(at)
        .map_or_else(|| crate::wire::rfc3339(at), |time| time.format("%Y-%m-%d %H:%M:%S %:z").to_string())
}

fn local(at: Timestamp) -> Option<DateTime<Local>> {
    DateTime::from_timestamp_millis(at.0).map(|time| time.with_timezone(&Local))
}

/// A count with its thousands apart: `1,204`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size in bytes for people: `1.5 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "for people, with one digit behind the point")]
    let mut size = n as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.95 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", units[unit])
}

/// `1 notification`, `2 notifications`.
#[must_use]
pub fn notifications(n: u64) -> String {
    match n {
        1 => "1 notification".to_owned(),
        n => format!("{} notifications", count(n)),
    }
}

/// A foreign value as one line that cannot steer the terminal: no control character, no change of direction.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_unfit(c) || c == '\n' { '\u{fffd}' } else { c }).collect()
}

/// A foreign text that may have lines, but cannot steer the terminal.
pub fn lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(|line| line.replace('\t', "    ").chars().map(visible).collect())
}

fn visible(c: char) -> char {
    if is_unfit(c) { '\u{fffd}' } else { c }
}

/// Control characters, and those that turn the direction of what follows (Unicode TR 36).
pub fn is_unfit(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How much of something is done, as blocks: `██████░░░░`.
#[must_use]
pub fn bar(done: u64, of: u64, width: usize) -> String {
    let filled = match of {
        0 => width,
        // Never looks full before it is.
        of => usize::try_from(u128::from(done.min(of)) * width as u128 / u128::from(of)).unwrap_or(width),
    };
    "█".repeat(filled) + &"░".repeat(width - filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_from_now() {
        let face = Face { colour: false, width: None, now: Timestamp(1_000_000) };
        assert_eq!(face.distance(Timestamp(1_000_500)), "now");
        assert_eq!(face.distance(Timestamp(1_010_000)), "in 10 s");
        assert_eq!(face.distance(Timestamp(940_000)), "1 m ago");
    }

    #[test]
    fn counts_and_sizes_can_be_read_at_a_glance() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
        for (n, text) in [(1_023, "1023 B"), (1_536, "1.5 KiB"), (1_048_576, "1.0 MiB"), (1 << 41, "2.0 TiB")]
        {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\x1b]0;evil\x07b\u{202e}c\r\nd"), "a�]0;evil�b�c��d");
        assert_eq!(lines("a\tb\n\x1b[2Jc").collect::<Vec<_>>(), ["a    b", "�[2Jc"]);
    }

    #[test]
    fn a_bar_is_full_only_when_all_is_done() {
        assert_eq!(bar(0, 10, 5), "░░░░░");
        assert_eq!(bar(999_999, 1_000_000, 5), "████░");
        assert_eq!(bar(10, 10, 5), "█████");
        assert_eq!(bar(0, 0, 5), "█████");
    }

    #[test]
    fn long_lines_are_broken_at_words_on_a_terminal_alone() {
        let mut face = Face { colour: false, width: None, now: Timestamp(0) };
        let line = "  - it waits after 2 attempts";
        assert_eq!(face.wrap(line, 4), [line]);
        face.width = Some(16);
        assert_eq!(face.wrap(line, 4), ["  - it waits", "    after 2", "    attempts"]);
        let address = "to  a-rather-long-address@example.org or to /var/lib/notifyctl/notifyctl.db";
        let whole =
            ["to", " a-rather-long-address@example.org", " or to", " /var/lib/notifyctl/notifyctl.db"];
        assert_eq!(face.wrap(address, 1), whole);
    }

    #[test]
    fn colours_are_written_only_where_they_are_wanted() {
        let mut face = Face { colour: false, width: None, now: Timestamp(0) };
        assert_eq!(face.status(Status::Dead), "dead");
        face.colour = true;
        assert_eq!(face.status(Status::Sent), "\u{1b}[32msent\u{1b}[0m");
        assert_eq!(face.status(Status::Pending), "pending");
    }
}
