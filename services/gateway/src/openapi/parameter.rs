//! What requests may carry in path, query and headers.

use contracts::page::PageRequest;
use serde_json::{Value, json};

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

/// The id in a path.
pub(super) fn id(name: &str, description: &str) -> Value {
    let schema = json!({ "type": "string", "format": "uuid" });
    json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
}

/// The service in a path.
pub(super) fn service() -> Value {
    let schema = json!({ "type": "string", "enum": ["order", "payment"] });
    json!({ "name": "service", "in": "path", "required": true, "description": "Which service.", "schema": schema })
}

/// A parameter of the query.
pub(super) fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

/// Which page.
pub(super) fn page() -> [Value; 2] {
    [reference("Page"), reference("Limit")]
}

/// Which page, or what comes behind an item.
pub(super) fn page_or_cursor() -> [Value; 3] {
    [reference("Page"), reference("Limit"), reference("Cursor")]
}

/// What names a command that may be repeated.
pub(super) fn idempotency_key() -> Value {
    reference("IdempotencyKey")
}

/// How long the client is ready to wait.
pub(super) fn prefer() -> Value {
    reference("Prefer")
}

/// What any request may carry.
pub(super) fn of_any() -> [Value; 2] {
    [reference("CorrelationId"), reference("Traceparent")]
}

/// The parameters that several operations have.
pub(super) fn shared() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "description": description, "schema": schema });
    let most = PageRequest::MAX_LIMIT;
    json!({
        "Page": query(
            "page",
            "The page's number, from 1. Values out of range are clamped, what is no number counts as 1.",
            &json!({ "type": "integer", "minimum": 1, "default": 1 }),
        ),
        "Limit": query(
            "limit",
            "Most items. Values out of range are clamped, what is no number counts as missing.",
            &json!({ "type": "integer", "minimum": 1, "maximum": most, "default": 10 }),
        ),
        "Cursor": query(
            "cursor",
            "Where to go on: what the header `Link` with `rel=\"next\"` gave. Opaque. Not together with `page`.",
            &json!({ "type": "string" }),
        ),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "Names the command: 1 to 255 visible ASCII characters, bare or in double quotes. The same key with the same request \
             happens once, and is answered as it was the first time; with another request it is refused with `422`.",
            json!({ "type": "string", "pattern": "^[!#-~]([ !#-~]{0,253}[!#-~])?$" }),
        ),
        "Prefer": header(
            "Prefer",
            "`wait=N` (RFC 7240): wait up to N seconds, at most 30, for the order to settle, and answer `200` with it.",
            json!({ "type": "string", "examples": ["wait=10"] }),
        ),
        "CorrelationId": header(
            "x-correlation-id",
            "Joins everything that this request causes, in logs, events and traces. One that is not 1 to 128 visible ASCII \
             characters is replaced by a new UUID.",
            json!({ "type": "string" }),
        ),
        "Traceparent": header(
            "traceparent",
            "W3C Trace Context: the request's span becomes a child of this one.",
            json!({ "type": "string" }),
        ),
    })
}
