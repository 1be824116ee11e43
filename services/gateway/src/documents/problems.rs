//! The page of each kind of problem.

use contracts::{ProblemDescription, ProblemType};

/// What it means and what the client can do. The texts are ours, and have nothing that HTML would read otherwise.
pub(super) fn page(kind: ProblemType) -> String {
    let ProblemDescription { status, title, meaning, remedy } = kind.description();
    let [meaning, remedy] = [meaning, remedy].map(with_code);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"/api/docs/page.css\">\n<main>\n<h1>{title}</h1>\n\
         <p><code>{status}</code> <code>{uri}</code></p>\n<p>{meaning}</p>\n<h2>What to do</h2>\n<p>{remedy}</p>\n\
         <p><a href=\"/api/docs\">The API</a></p>\n</main>\n",
        uri = kind.uri(),
    )
}

/// What is in backticks, as code.
fn with_code(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let parts = escaped.split('`').enumerate();
    parts
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}
