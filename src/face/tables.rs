//! Tables for people: no lines, numbers to the right, nothing in a cell that a terminal would obey.

use std::fmt::Display;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::text::plain;

/// Bytes of a cell.
const LONGEST_CELL: usize = 200;

/// A table with this header.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    table
}

/// A cell of text from anywhere.
pub fn cell(text: impl Display) -> Cell {
    Cell::new(plain(text, LONGEST_CELL))
}

/// A cell of a number.
pub fn number(number: impl Display) -> Cell {
    Cell::new(number.to_string()).set_alignment(CellAlignment::Right)
}
