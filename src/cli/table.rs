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
            column.set_padding((0, 2));
            match spec.layout {
                Layout::Word => column.set_constraint(ColumnConstraint::ContentWidth),
                Layout::Number => {
                    column.set_cell_alignment(CellAlignment::Right);
                    column.set_constraint(ColumnConstraint::ContentWidth)
                }
                Layout::Text => column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(10))),
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
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(*width + 2)));
            }
        }
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
