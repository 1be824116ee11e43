//! docs/PROBLEMS.md, from the table of problems.

use std::fmt::Write;

use contracts::schema::examples;
use contracts::{ProblemDescription, ProblemType};
use strum::VariantArray;

/// The document.
pub(crate) fn document() -> String {
    let mut text = String::from(
        "# Problems\n\n\
         What a request may be refused with, as `application/problem+json` (RFC 9457). Decide by `type`, which stays the same, or by\n\
         the status; `title` and `detail` are for people. The path is one of the gateway: it serves the description. `429` and `503`\n\
         have the header `Retry-After`, in seconds.\n\n\
         This file is generated from `contracts/src/problem_type.rs` (`./dev documents`).\n\n\
         | status | type | title |\n|---|---|---|\n",
    );
    for problem in ProblemType::VARIANTS {
        let ProblemDescription { status, title, .. } = problem.description();
        writeln!(text, "| {status} | [{problem}](#{problem}) | {title} |").expect("a string");
    }
    for problem in ProblemType::VARIANTS {
        let ProblemDescription { meaning, remedy, .. } = problem.description();
        let example = examples::problem(*problem);
        write!(text, "\n## {problem}\n\n{meaning}\n\n**What to do.** {remedy}\n\n```json\n{example}\n```\n")
            .expect("a string");
    }
    text
}
