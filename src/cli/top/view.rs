//! What is looked at: the pane, the row and the filter; and what each key means.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::sample::Sample;
use crate::cli::face::one_line;
use crate::model::{Id, Status};

/// The parts of the screen in which rows can be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Channels,
    Dead,
}

/// What the keys go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Rows,
    Filter,
    /// It is done once `y` is pressed.
    Confirm(Act),
    Help,
}

/// What is asked of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Hold(String),
    Release(String),
    RequeueOne(Id),
    /// All that are dead on a channel; so many when it was asked.
    RequeueAll(String, u64),
}

/// What a key leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Do(Act),
    Quit,
}

/// What is looked at.
#[derive(Debug)]
pub(super) struct View {
    pub(super) pane: Pane,
    pub(super) mode: Mode,
    /// Only channels whose name holds this.
    pub(super) filter: String,
    /// The selected channel and the selected notification: they stay when rows come and go around them.
    pub(super) channel: Option<String>,
    pub(super) dead: Option<Id>,
    /// What came of the last act.
    pub(super) message: Option<Result<String, String>>,
    /// Why the last look saw nothing, if it did not.
    pub(super) blind: Option<String>,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            pane: Pane::Channels,
            mode: Mode::Rows,
            filter: String::new(),
            channel: None,
            dead: None,
            message: None,
            blind: None,
        }
    }

    /// Whether a channel is looked at.
    pub(super) fn shows(&self, channel: &str) -> bool {
        channel.contains(&self.filter)
    }

    /// The channels that are looked at.
    pub(super) fn channels<'a>(&self, sample: &'a Sample) -> Vec<&'a str> {
        sample.status.channels.keys().map(String::as_str).filter(|name| self.shows(name)).collect()
    }

    /// The dead that are looked at.
    pub(super) fn dead_ids(&self, sample: &Sample) -> Vec<Id> {
        sample.dead.iter().filter(|(row, _)| self.shows(&row.channel)).map(|(row, _)| row.id).collect()
    }

    /// Which row of the pane is selected; the first one when what was selected is gone.
    pub(super) fn selected(&self, pane: Pane, sample: &Sample) -> Option<usize> {
        let (rows, found) = match pane {
            Pane::Channels => {
                let rows = self.channels(sample);
                (rows.len(), self.channel.as_ref().and_then(|name| rows.iter().position(|row| row == name)))
            }
            Pane::Dead => {
                let rows = self.dead_ids(sample);
                (rows.len(), self.dead.and_then(|id| rows.iter().position(|row| *row == id)))
            }
        };
        found.or((rows > 0).then_some(0))
    }

    fn select(&mut self, row: usize, sample: &Sample) {
        match self.pane {
            Pane::Channels => self.channel = self.channels(sample).get(row).map(|name| (*name).to_owned()),
            Pane::Dead => self.dead = self.dead_ids(sample).get(row).copied(),
        }
    }

    fn go(&mut self, by: isize, sample: &Sample) {
        let rows = match self.pane {
            Pane::Channels => self.channels(sample).len(),
            Pane::Dead => self.dead_ids(sample).len(),
        };
        if let Some(row) = self.selected(self.pane, sample) {
            self.select(row.saturating_add_signed(by).min(rows - 1), sample);
        }
    }

    /// The channel that a key means: the selected one, or that of the selected notification.
    fn meant(&self, sample: &Sample) -> Option<String> {
        let row = self.selected(self.pane, sample)?;
        match self.pane {
            Pane::Channels => self.channels(sample).get(row).map(|name| (*name).to_owned()),
            Pane::Dead => {
                let id = self.dead_ids(sample)[row];
                sample.dead.iter().find(|(dead, _)| dead.id == id).map(|(dead, _)| dead.channel.clone())
            }
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent, sample: &Sample) -> Then {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Then::Quit;
        }
        // Some terminals send it for the key Backspace.
        let is_backspace = key.code == KeyCode::Char('h') && key.modifiers == KeyModifiers::CONTROL;
        match self.mode.clone() {
            Mode::Filter if is_backspace => drop(self.filter.pop()),
            // Another key than the letter that comes with it.
            _ if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {}
            mode => return self.plain_key(key.code, mode, sample),
        }
        Then::Nothing
    }

    fn plain_key(&mut self, code: KeyCode, mode: Mode, sample: &Sample) -> Then {
        match mode {
            Mode::Rows => {
                self.message = None;
                self.row_key(code, sample)
            }
            Mode::Filter => self.filter_key(code),
            Mode::Confirm(act) => {
                self.mode = Mode::Rows;
                match code {
                    KeyCode::Char('y' | 'Y') => Then::Do(act),
                    _ => {
                        self.message = Some(Ok("nothing was changed".to_owned()));
                        Then::Nothing
                    }
                }
            }
            Mode::Help => {
                self.mode = Mode::Rows;
                Then::Nothing
            }
        }
    }

    fn row_key(&mut self, code: KeyCode, sample: &Sample) -> Then {
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return Then::Quit,
            KeyCode::Down | KeyCode::Char('j') => self.go(1, sample),
            KeyCode::Up | KeyCode::Char('k') => self.go(-1, sample),
            KeyCode::PageDown => self.go(10, sample),
            KeyCode::PageUp => self.go(-10, sample),
            KeyCode::Home | KeyCode::Char('g') => self.go(isize::MIN, sample),
            KeyCode::End | KeyCode::Char('G') => self.go(isize::MAX, sample),
            KeyCode::Tab | KeyCode::BackTab => {
                self.pane = if self.pane == Pane::Channels { Pane::Dead } else { Pane::Channels };
            }
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('h') => return self.hold(sample),
            KeyCode::Char('r') => {
                return self.meant(sample).map_or(Then::Nothing, |name| Then::Do(Act::Release(name)));
            }
            KeyCode::Char('R') => self.ask_requeue(sample),
            _ => {}
        }
        Then::Nothing
    }

    /// Holds the channel that is meant. One that is held keeps its reason, and since when.
    fn hold(&mut self, sample: &Sample) -> Then {
        let Some(name) = self.meant(sample) else { return Then::Nothing };
        if sample.status.channels.get(&name).is_some_and(|channel| channel.held.is_some()) {
            self.message = Some(Ok(format!("{} is held already; r releases it", one_line(&name))));
            return Then::Nothing;
        }
        Then::Do(Act::Hold(name))
    }

    fn ask_requeue(&mut self, sample: &Sample) {
        let Some(row) = self.selected(self.pane, sample) else { return };
        let act = match self.pane {
            Pane::Dead => Act::RequeueOne(self.dead_ids(sample)[row]),
            Pane::Channels => {
                let name = self.channels(sample)[row];
                match sample.status.channels[name].counts.of(Status::Dead) {
                    0 => {
                        self.message = Some(Ok(format!("nothing is dead on {name}")));
                        return;
                    }
                    n => Act::RequeueAll(name.to_owned(), n),
                }
            }
        };
        self.mode = Mode::Confirm(act);
    }

    fn filter_key(&mut self, code: KeyCode) -> Then {
        match code {
            KeyCode::Enter => self.mode = Mode::Rows,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Rows;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            // No name of a channel is longer.
            KeyCode::Char(c) if !c.is_control() && self.filter.len() < 64 => self.filter.push(c),
            _ => {}
        }
        Then::Nothing
    }
}
