//! What describes the API.

use contracts::ProblemType;
use serde_json::json;
use strum::VariantArray;

use super::super::response::Answer;
use super::Operation;

const TAG: &str = "Documents";

fn document(id: &'static str, summary: &'static str, media_type: &'static str) -> Operation {
    Operation::new(id, TAG, summary).answer(Answer::text(media_type, "The document."))
}

pub(crate) fn openapi() -> Operation {
    Operation::new("getOpenApi", TAG, "Get this document (OpenAPI 3.1)")
        .answer(Answer::object("The document."))
}

pub(crate) fn asyncapi() -> Operation {
    Operation::new("getAsyncApi", TAG, "Get the description of the events on the broker (AsyncAPI 3.0)")
        .answer(Answer::object("The document."))
}

pub(crate) fn page() -> Operation {
    document("getDocs", "Read this document as a page, and try requests", "text/html")
}

pub(crate) fn script() -> Operation {
    document("getDocsScript", "The page's script", "text/javascript")
}

pub(crate) fn style() -> Operation {
    document("getDocsStyle", "The page's style", "text/css")
}

pub(crate) fn problem() -> Operation {
    let names: Vec<_> = ProblemType::VARIANTS.iter().map(ToString::to_string).collect();
    let name = json!({
        "name": "name", "in": "path", "required": true,
        "description": "The last part of a problem's `type`.",
        "schema": { "type": "string", "enum": names },
    });
    document("getProblem", "Read what a kind of problem means", "text/html")
        .parameter(name)
        .problems([ProblemType::NotFound])
}
