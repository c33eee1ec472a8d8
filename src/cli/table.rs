//! Tables for people: cut to the terminal's width, whole when nobody looks.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Width};

use super::face::{Face, Paint, one_line};

/// A table under construction.
pub struct Table {
    inner: comfy_table::Table,
    face: Face,
    columns: &'static [Column],
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// How it is laid out.
    pub layout: Layout,
}

/// How a column is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As wide as its widest word.
    Word,
    /// The same, to the right: numbers.
    Number,
    /// Cut off when the terminal is too narrow.
    Text,
}

/// Blanks behind each column.
const GAP: u16 = 2;

/// The least that is left of a text, with what is behind it.
const TEXT: u16 = 10;

impl Column {
    /// A column of words.
    #[must_use]
    pub const fn word(title: &'static str) -> Self {
        Self { title, layout: Layout::Word }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn number(title: &'static str) -> Self {
        Self { title, layout: Layout::Number }
    }

    /// A column of texts.
    #[must_use]
    pub const fn text(title: &'static str) -> Self {
        Self { title, layout: Layout::Text }
    }
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(face: Face, columns: &'static [Column]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(comfy_table::presets::NOTHING).set_truncation_indicator("…");
        inner.set_header(columns.iter().map(|column| Cell::new(column.title).add_attribute(Attribute::Bold)));
        match face.width {
            Some(width) => inner.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => inner.set_content_arrangement(ContentArrangement::Disabled),
        };
        match face.colour {
            true => inner.enforce_styling(),
            false => inner.force_no_tty(),
        };
        for (column, spec) in inner.column_iter_mut().zip(columns) {
            column.set_padding((0, GAP));
            match spec.layout {
                Layout::Word => column.set_constraint(ColumnConstraint::ContentWidth),
                Layout::Number => {
                    column.set_cell_alignment(CellAlignment::Right);
                    column.set_constraint(ColumnConstraint::ContentWidth)
                }
                Layout::Text => column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(TEXT))),
            };
        }
        Self { inner, face, columns }
    }

    /// Adds a row; foreign text in it is made harmless.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = (Paint, T)>) {
        let mut row = Row::new();
        for (paint, text) in cells {
            row.add_cell(painted(Cell::new(one_line(text.as_ref())), paint));
        }
        if self.face.width.is_some() {
            row.max_height(1);
        }
        self.inner.add_row(row);
    }

    /// The columns' widths by now, for a table that goes on below this one.
    #[must_use]
    pub fn widths(&self) -> Vec<u16> {
        self.inner.column_max_content_widths()
    }

    /// Makes no column narrower than these.
    pub fn at_least(&mut self, widths: &[u16]) {
        for ((column, width), spec) in self.inner.column_iter_mut().zip(widths).zip(self.columns) {
            if self.face.width.is_none() || spec.layout != Layout::Text {
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(*width + GAP)));
            }
        }
    }

    /// Leaves out columns that the terminal has no room for: these, by place, one after the other while it is too narrow.
    #[must_use]
    pub fn fit(mut self, spare: &[usize]) -> Self {
        let Some(room) = self.face.width else { return self };
        let widths = self.widths();
        let least = |at: usize| match self.columns[at].layout {
            Layout::Text => TEXT,
            Layout::Word | Layout::Number => widths[at] + GAP,
        };
        let mut needed: u16 = (0..self.columns.len()).map(least).sum();
        for &at in spare {
            if needed <= room + GAP {
                break;
            }
            needed -= least(at);
            if let Some(column) = self.inner.column_mut(at) {
                column.set_constraint(ColumnConstraint::Hidden);
            }
        }
        self
    }

    /// Its lines, the titles first.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.inner.lines().map(|line| line.trim_end().to_owned())
    }
}

fn painted(cell: Cell, paint: Paint) -> Cell {
    match paint {
        Paint::Plain => cell,
        Paint::Title => cell.add_attribute(Attribute::Bold),
        Paint::Good => cell.fg(Color::DarkGreen),
        Paint::Busy => cell.fg(Color::DarkCyan),
        Paint::Warn => cell.fg(Color::DarkYellow),
        Paint::Bad => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
        Paint::Dim => cell.add_attribute(Attribute::Dim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    const COLUMNS: [Column; 4] =
        [Column::text("channel"), Column::number("pending"), Column::number("dead"), Column::number("total")];

    fn lines(width: Option<u16>, spare: &[usize]) -> Vec<String> {
        let mut table = Table::new(Face { colour: false, width, now: Timestamp(0) }, &COLUMNS);
        table.row(["a-very-long-name", "12", "0", "12"].map(|text| (Paint::Plain, text)));
        table.fit(spare).lines().collect()
    }

    #[test]
    fn columns_are_left_out_while_the_terminal_is_too_narrow_in_the_order_given_and_no_others() {
        let spare = [2, 3];
        assert_eq!(lines(None, &spare)[0], "channel           pending  dead  total");
        assert_eq!(lines(Some(80), &spare)[0], "channel           pending  dead  total");
        for (width, title) in [
            (31, "channel   pending  dead  total"),
            (25, "channel   pending  total"),
            (18, "channel   pending"),
            (5, "channel   pending"),
        ] {
            let lines = lines(Some(width), &spare);
            assert_eq!(
                lines[0].split_whitespace().collect::<Vec<_>>(),
                title.split_whitespace().collect::<Vec<_>>(),
                "{width}"
            );
            assert!(
                width < 18 || lines.iter().all(|line| line.chars().count() <= width.into()),
                "{width}: {lines:?}"
            );
        }
    }
}
