//! The results of a run, on the terminal and in docs/FAULTS.md.

use std::fmt::Write;

use comfy_table::{Cell, CellAlignment};
use paysaga::table::with_header;

use super::oracle::Outcome;

const HEADER: [&str; 7] =
    ["fault", "orders accepted", "final", "lost", "double-charged", "stuck", "recovery time"];

/// One scenario's outcome.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was broken.
    pub fault: String,
    /// The result.
    pub outcome: Outcome,
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let Outcome { accepted, settled, lost, double_charged, stuck, recovery, .. } = &self.outcome;
        let recovery = recovery.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
        let [accepted, settled, lost, double_charged, stuck] =
            [accepted, settled, lost, double_charged, stuck].map(u64::to_string);
        [self.fault.clone(), accepted, settled, lost, double_charged, stuck, recovery]
    }
}

/// The table for a terminal.
#[must_use]
pub fn plain(rows: &[Row]) -> String {
    let mut table = with_header(HEADER.to_vec());
    for row in rows {
        let cells = row.cells().into_iter().enumerate().map(|(number, text)| {
            let alignment = if number == 0 { CellAlignment::Left } else { CellAlignment::Right };
            Cell::new(text).set_alignment(alignment)
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    table.to_string()
}

/// The table in Markdown, with notes and violations below it.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut text = format!("| {} |\n|---|---:|---:|---:|---:|---:|---:|\n", HEADER.join(" | "));
    for row in rows {
        // Writing to a String can't fail.
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    let noted: Vec<_> = rows.iter().filter(|row| !row.outcome.notes.is_empty()).collect();
    if !noted.is_empty() {
        text.push_str("\nObserved besides:\n\n");
        for row in noted {
            let _ = writeln!(text, "- {}: {}", row.fault, row.outcome.notes.join("; "));
        }
    }
    let wrong: Vec<_> = rows.iter().filter(|row| !row.outcome.violations.is_empty()).collect();
    if !wrong.is_empty() {
        text.push_str("\nNot as it should be:\n\n");
        for row in wrong {
            let _ = writeln!(text, "- {}: {}", row.fault, row.outcome.violations.join("; "));
        }
    }
    text
}
