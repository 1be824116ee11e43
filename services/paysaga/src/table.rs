//! Results in columns.

use comfy_table::{Row, Table, TableComponent, presets};

/// An empty table with a line under its header.
#[must_use]
pub fn with_header(header: impl Into<Row>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for part in [TableComponent::HeaderLines, TableComponent::MiddleHeaderIntersections] {
        table.set_style(part, '─');
    }
    table
}
