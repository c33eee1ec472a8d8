//! How it looks: panes from top to bottom, fewer columns where there is less room.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Sparkline, Table, TableState, Wrap};

use super::sample::{Kind, Source};
use super::view::{Act, Mode, Pane, View};
use crate::cli::face::{Face, Paint, count, one_line};
use crate::cli::status::trouble_line;
use crate::model::{Status, Timestamp};
use crate::{units, wire};

/// What is drawn.
pub(super) struct Scene<'a> {
    pub(super) view: &'a View,
    pub(super) source: &'a Source,
    pub(super) now: Timestamp,
    /// Whether colours are wanted.
    pub(super) colour: bool,
}

/// Over how many samples a rate is told.
const STEPS: usize = 10;

/// Columns from which there is room for what is being sent, what was, and how fast.
const ROOMY: u16 = 72;
/// Columns from which there is room for one more count.
const WIDE: u16 = 100;
/// Columns from which there is room for all of them.
const WIDEST: u16 = 130;

/// Columns of a channel's name, at least.
const NAME: usize = 10;

/// Lines from which there is room for the charts.
const TALL: u16 = 20;
/// Lines from which there is room for more than the channels.
const MIDDLING: u16 = 15;

pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>) {
    let status = &scene.source.sample.status;
    let area = frame.area();
    let channels = u16::try_from(scene.view.channels(&scene.source.sample).len()).unwrap_or(u16::MAX);
    let workers = u16::try_from(status.workers.len()).unwrap_or(u16::MAX).clamp(1, 4);
    let sparks = match area.height {
        30.. => 6,
        TALL.. => 4,
        _ => 0,
    };
    let listed = Constraint::Length(channels.saturating_add(3).clamp(4, (area.height / 3).max(5)));
    // What is left, when there is little, goes to the channels.
    let (table, dead, living, detail) = match area.height {
        TALL.. => (listed, Constraint::Min(4), workers, 2),
        MIDDLING.. => (listed, Constraint::Min(4), 1, 2),
        _ => (Constraint::Min(4), Constraint::Length(0), 0, 1),
    };
    let [head, rates, table, dead, living, detail, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(sparks),
        table,
        dead,
        Constraint::Length(living),
        Constraint::Length(detail),
        Constraint::Length(1),
    ])
    .areas(area);
    scene.head(frame, head);
    let [sent, died] = Layout::horizontal([Constraint::Ratio(2, 3), Constraint::Ratio(1, 3)]).areas(rates);
    scene.spark(frame, sent, ("sent/s", Kind::Sent, Paint::Good));
    scene.spark(frame, died, ("dead/s", Kind::Dead, Paint::Bad));
    scene.channels(frame, table);
    scene.dead(frame, dead);
    scene.workers(frame, living);
    frame.render_widget(Paragraph::new(scene.detail()).wrap(Wrap { trim: true }), detail);
    frame.render_widget(Paragraph::new(scene.foot()), foot);
    if scene.view.mode == Mode::Help {
        help(frame);
    }
}

impl Scene<'_> {
    fn style(&self, paint: Paint) -> Style {
        let colour = |colour| if self.colour { Style::new().fg(colour) } else { Style::new() };
        match paint {
            Paint::Plain => Style::new(),
            Paint::Title => Style::new().add_modifier(Modifier::BOLD),
            Paint::Good => colour(Color::Green),
            Paint::Busy => colour(Color::Cyan),
            Paint::Warn => colour(Color::Yellow),
            Paint::Bad => colour(Color::Red).add_modifier(Modifier::BOLD),
            Paint::Dim => Style::new().add_modifier(Modifier::DIM),
        }
    }

    fn face(&self) -> Face {
        Face { colour: false, width: None, now: self.now }
    }

    fn span(&self, paint: Paint, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(paint))
    }

    fn head(&self, frame: &mut Frame<'_>, area: Rect) {
        let status = &self.source.sample.status;
        let store = status.store.strip_prefix("sqlite://").unwrap_or(&status.store);
        let clock = self.face().clock(self.now);
        let [first, second] = Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(area);
        let mut title =
            vec![self.span(Paint::Title, "notifyctl top"), Span::raw(format!("  {}", one_line(store)))];
        if !self.view.filter.is_empty() {
            title.push(self.span(Paint::Warn, format!("  /{}", one_line(&self.view.filter))));
        }
        let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(9)]).areas(first);
        frame.render_widget(Paragraph::new(Line::from(title)), left);
        frame.render_widget(Paragraph::new(clock).alignment(Alignment::Right), right);
        frame.render_widget(Paragraph::new(self.totals(second.width)), second);
    }

    /// The counts of what is looked at, and since when the oldest is due, as far as there is room for a whole one.
    fn totals(&self, width: u16) -> Line<'static> {
        let status = &self.source.sample.status;
        let shown = || status.channels.iter().filter(|(name, _)| self.view.shows(name)).map(|(_, one)| one);
        let mut counts = wire::Counts::default();
        shown().for_each(|channel| counts.add(&channel.counts));
        let mut spans = Vec::new();
        for which in
            Status::ALL.into_iter().filter(|which| *which != Status::Cancelled || counts.of(*which) > 0)
        {
            let n = counts.of(which);
            let paint = if n == 0 { Paint::Dim } else { Paint::of(which) };
            spans.push(self.span(paint, format!("{} {which}  ", count(n))));
        }
        if let Some(at) = shown().filter_map(|channel| channel.oldest_due_at).min() {
            spans.push(self.span(Paint::Warn, format!("due for {}", units::span(self.now.since(at)))));
        }
        let (mut shown, mut left) = (Vec::new(), usize::from(width));
        for span in spans {
            // What parts it from the next one may be cut off.
            match left.checked_sub(span.content.trim_end().len()) {
                None => break,
                Some(_) => left = left.saturating_sub(span.width()),
            }
            shown.push(span);
        }
        Line::from(shown)
    }

    fn spark(&self, frame: &mut Frame<'_>, area: Rect, (name, kind, paint): (&str, Kind, Paint)) {
        let history = &self.source.history;
        let counts = history.counts(kind, area.width.saturating_sub(2).into(), |one| self.view.shows(one));
        let rate = history.rate(kind, STEPS, |one| self.view.shows(one));
        let most = counts.iter().copied().max().unwrap_or(0);
        let title = format!(" {name} {rate:.1}, at most {} a look ", count(most));
        let block = Block::bordered().title(title).border_style(self.style(Paint::Dim));
        // The newest stands at the right.
        let missing = usize::from(area.width.saturating_sub(2)).saturating_sub(counts.len());
        let data: Vec<u64> = std::iter::repeat_n(0, missing).chain(counts).collect();
        frame.render_widget(Sparkline::default().block(block).data(data).style(self.style(paint)), area);
    }

    fn block(&self, pane: Pane, title: String) -> Block<'static> {
        let here = self.view.pane == pane;
        let paint = if here { Paint::Title } else { Paint::Dim };
        Block::bordered().title(self.span(paint, title)).border_style(self.style(paint))
    }

    fn table(&self, frame: &mut Frame<'_>, area: Rect, pane: Pane, table: Table<'_>) {
        let here = self.view.pane == pane;
        let marked = if here { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        let selected = self.view.selected(pane, &self.source.sample);
        let mut state = TableState::default().with_selected(selected);
        frame.render_stateful_widget(table.row_highlight_style(marked), area, &mut state);
    }

    fn channels(&self, frame: &mut Frame<'_>, area: Rect) {
        let status = &self.source.sample.status;
        let counted: Vec<Status> = Status::ALL
            .into_iter()
            .filter(|which| match which {
                Status::Sending | Status::Sent => area.width >= ROOMY,
                Status::Held => area.width >= WIDE,
                Status::Expired | Status::Cancelled => area.width >= WIDEST,
                _ => true,
            })
            .collect();
        let mut names = vec!["channel".to_owned()];
        names.extend(counted.iter().map(ToString::to_string));
        if area.width >= ROOMY {
            names.push("sent/s".to_owned());
        }
        names.extend(["due for", "state"].map(str::to_owned));
        let lines: Vec<Vec<_>> = status
            .channels
            .iter()
            .filter(|(name, _)| self.view.shows(name))
            .map(|(name, channel)| {
                let mut cells = vec![(Paint::Plain, one_line(name))];
                for which in &counted {
                    let n = channel.counts.of(*which);
                    cells.push((if n == 0 { Paint::Dim } else { Paint::of(*which) }, count(n)));
                }
                if area.width >= ROOMY {
                    let rate = self.source.history.rate(Kind::Sent, STEPS, |one| one == name);
                    cells.push((Paint::Plain, format!("{rate:.1}")));
                }
                let due = channel.oldest_due_at.map(|at| units::span(self.now.since(at)));
                cells.extend([(Paint::Plain, due.unwrap_or_default()), self.state(channel)]);
                cells
            })
            .collect();
        // The name goes last: without it the row says nothing. A number that is cut off would be another one: what there is no
        // room for goes as a whole, the right-most first.
        let last = names.len() - 1;
        let width = |n: usize| {
            let cells = lines.iter().map(|cells| cells[n].1.chars().count());
            cells.chain([names[n].len()]).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..=last).map(|n| if n == 0 { NAME } else { width(n) }).collect();
        let mut shown: Vec<_> = (0..=last).collect();
        let room = usize::from(area.width).saturating_sub(2);
        while shown.len() > 2 && shown.iter().map(|n| widths[*n] + 1).sum::<usize>() > room + 1 {
            shown.remove(shown.len() - 2);
        }
        let constraints = shown.iter().map(|n| match n {
            0 => Constraint::Min(NAME as u16),
            n => Constraint::Length(widths[*n] as u16),
        });
        let constraints: Vec<_> = constraints.collect();
        let aligned = |n: usize, text: &str| {
            let line = Line::from(text.to_owned());
            if n == 0 || n == last { line } else { line.alignment(Alignment::Right) }
        };
        let rows = lines.iter().map(|cells| {
            let cells = shown.iter().map(|n| (*n, &cells[*n]));
            Row::new(cells.map(|(n, (paint, text))| Cell::from(aligned(n, text)).style(self.style(*paint))))
        });
        let rows: Vec<_> = rows.collect();
        let header = Row::new(shown.iter().map(|n| Cell::from(aligned(*n, &names[*n]))));
        let header = header.style(self.style(Paint::Dim));
        let table = Table::new(rows, constraints)
            .header(header)
            .block(self.block(Pane::Channels, " Channels ".into()));
        self.table(frame, area, Pane::Channels, table);
    }

    /// What keeps a channel, in a few words: the most lasting first.
    fn state(&self, channel: &wire::ChannelStatus) -> (Paint, String) {
        let open = channel.counts.of(Status::Pending) + channel.counts.of(Status::Held);
        if channel.held.is_some() {
            (Paint::Warn, "held".to_owned())
        } else if let Some(trouble) = &channel.trouble {
            match (trouble.probing_until, trouble.paused_until) {
                (Some(_), _) => (Paint::Bad, "probing".to_owned()),
                (_, Some(until)) => (Paint::Bad, format!("paused {}", units::span(until.since(self.now)))),
                _ => (Paint::Bad, "trouble".to_owned()),
            }
        } else if channel.kind.is_none() && open > 0 {
            (Paint::Bad, "not configured".to_owned())
        } else {
            let used = channel
                .rates
                .iter()
                .max_by_key(|rate| u64::from(rate.used) * 1_000 / u64::from(rate.limit.max(1)));
            match used {
                Some(rate) if rate.next_free_at.is_some() => (Paint::Warn, format!("full {}", rate.rate)),
                Some(rate) => (Paint::Plain, format!("{} of {}", rate.used, rate.rate)),
                None => (Paint::Dim, "ready".to_owned()),
            }
        }
    }

    fn dead(&self, frame: &mut Frame<'_>, area: Rect) {
        let sample = &self.source.sample;
        let shown: Vec<_> = sample.dead.iter().filter(|(row, _)| self.view.shows(&row.channel)).collect();
        let rows = shown.iter().map(|(row, said)| {
            let ago = row.settled_at.map(|at| units::ago(at, self.now)).unwrap_or_default();
            Row::new([
                Cell::from(row.id.to_string()),
                Cell::from(ago),
                Cell::from(one_line(&row.channel)),
                Cell::from(one_line(&row.recipient)),
                Cell::from(one_line(said.split_once(": ").map_or(said, |(_, why)| why)))
                    .style(self.style(Paint::Bad)),
            ])
        });
        // An id that is cut off would be another one's.
        let ids = shown.iter().map(|(row, _)| row.id.to_string().len()).max().unwrap_or(0);
        let widths = [
            Constraint::Length(ids.max(if area.width >= WIDE { 9 } else { 6 }) as u16),
            Constraint::Length(if area.width >= WIDE { 13 } else { 9 }),
            Constraint::Length(10),
            Constraint::Fill(2),
            Constraint::Fill(3),
        ];
        let header = Row::new(["id", "died", "channel", "to", "why"]).style(self.style(Paint::Dim));
        let table =
            Table::new(rows, widths).header(header).block(self.block(Pane::Dead, " Latest dead ".into()));
        self.table(frame, area, Pane::Dead, table);
    }

    fn workers(&self, frame: &mut Frame<'_>, area: Rect) {
        let status = &self.source.sample.status;
        let face = self.face();
        let mut lines: Vec<_> = status
            .workers
            .iter()
            .map(|worker| {
                let (name, what) = crate::cli::status::worker_line(worker, &face);
                let paint = if worker.hangs { Paint::Bad } else { Paint::Plain };
                Line::from(vec![self.span(Paint::Title, format!("{name}  ")), self.span(paint, what)])
            })
            .collect();
        if lines.is_empty() {
            let seen = status.sender_seen_at.map(|at| format!("; the last pass ended {}", face.at(at)));
            let none = format!("no daemon and no pass is at work{}", seen.unwrap_or_default());
            lines.push(Line::from(self.span(Paint::Warn, none)));
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// More about what is selected.
    fn detail(&self) -> Line<'static> {
        let (view, sample) = (self.view, &self.source.sample);
        let Some(row) = view.selected(view.pane, sample) else { return Line::default() };
        let face = self.face();
        let text = match view.pane {
            Pane::Dead => {
                let id = view.dead_ids(sample)[row];
                let found = sample.dead.iter().find(|(dead, _)| dead.id == id);
                found.map(|(dead, said)| {
                    let subject =
                        dead.subject.as_deref().map(|text| format!("“{text}” ")).unwrap_or_default();
                    format!("{id} {subject}{said}")
                })
            }
            Pane::Channels => {
                let name = view.channels(sample)[row];
                let channel = &sample.status.channels[name];
                let hold = channel
                    .held
                    .as_ref()
                    .map(|hold| format!("held since {}: {}", face.since(hold.since), hold.reason));
                let trouble = channel.trouble.as_ref().map(|trouble| trouble_line(trouble, &face));
                let rates = channel.rates.iter().map(|rate| format!("{} of {}", rate.used, rate.rate));
                let rates = Some(rates.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty());
                let next = channel.next_due_at.map(|at| format!("next due {}", face.at(at)));
                let parts: Vec<_> = [hold, trouble, rates, next].into_iter().flatten().collect();
                Some(format!(
                    "{name}: {}",
                    if parts.is_empty() { "nothing in the way".into() } else { parts.join("; ") }
                ))
            }
        };
        Line::from(one_line(&text.unwrap_or_default()))
    }

    fn foot(&self) -> Line<'static> {
        match (&self.view.mode, &self.view.blind, &self.view.message) {
            (Mode::Filter, ..) => Line::from(vec![
                self.span(Paint::Title, "/"),
                Span::raw(format!("{}▏", one_line(&self.view.filter))),
                self.span(Paint::Dim, "  Enter keeps it, Esc shows all"),
            ]),
            (Mode::Confirm(act), ..) => Line::from(self.span(Paint::Warn, format!("{} y/n", question(act)))),
            (_, Some(why), _) => Line::from(self.span(Paint::Bad, why.clone())),
            (_, _, Some(Ok(said))) => Line::from(self.span(Paint::Good, said.clone())),
            (_, _, Some(Err(why))) => Line::from(self.span(Paint::Bad, why.clone())),
            _ => Line::from(self.span(
                Paint::Dim,
                "? help  q quit  ↑↓ select  Tab pane  h hold  r release  R requeue  / filter",
            )),
        }
    }
}

fn question(act: &Act) -> String {
    match act {
        Act::RequeueOne(id) => format!("requeue {id}: send it again, with a fresh retry schedule?"),
        Act::RequeueAll(name, 1) => format!("requeue the one that is dead on {}?", one_line(name)),
        Act::RequeueAll(name, n) => format!("requeue all {} that are dead on {}?", count(*n), one_line(name)),
        Act::Hold(name) => format!("hold {}?", one_line(name)),
        Act::Release(name) => format!("release {}?", one_line(name)),
    }
}

/// The keys, over everything else.
fn help(frame: &mut Frame<'_>) {
    const KEYS: &[&str] = &[
        "q, Esc       quit",
        "↑ ↓, j k     select; Home, End, PgUp, PgDn too",
        "Tab          channels, or the latest dead",
        "/            only channels whose name holds a word",
        "h            hold the channel: nothing more is begun",
        "r            release it, and forget its trouble",
        "R            requeue what is dead on the channel,",
        "             or the selected notification; y confirms",
        "",
        "any key closes this",
    ];
    let area = frame.area();
    let (width, height) = (58.min(area.width), (KEYS.len() as u16 + 2).min(area.height));
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    frame.render_widget(Clear, place);
    let lines: Vec<_> = KEYS.iter().map(|key| Line::from(*key)).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), place);
}
