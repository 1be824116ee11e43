//! The difference between two texts, line by line.

use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

/// What was taken out and what was put in, among the lines that stayed.
pub(super) fn difference(before: &str, after: &str) -> Markup {
    let lines = TextDiff::from_lines(before, after);
    html! {
        pre.diff {
            @for change in lines.iter_all_changes() {
                @let line = change.value().trim_end_matches('\n');
                @match change.tag() {
                    ChangeTag::Delete => del { "- " (line) },
                    ChangeTag::Insert => ins { "+ " (line) },
                    ChangeTag::Equal => span { "  " (line) },
                }
            }
        }
    }
}
