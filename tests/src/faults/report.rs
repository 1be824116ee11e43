//! The page docs/FAULTS.md.

use super::table::{Row, markdown};

/// The whole page.
#[must_use]
pub fn page(rows: &[Row], seed: u64, versions: &str) -> String {
    format!("{}\nseed {seed}, {versions}\n", markdown(rows))
}
