//! What requests may carry in path, query and headers.

use contracts::list::{List, Sort};
use contracts::page::PageRequest;
use serde_json::{Value, json};
use strum::VariantArray;

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

/// Which part of a list that is read from one item to the next.
pub(super) fn slice() -> [Value; 2] {
    [reference("Cursor"), reference("Limit")]
}

/// Which part of a list.
pub(super) fn list<L: List>() -> Vec<Value> {
    let words = |variants: Vec<String>| json!({ "type": "string", "enum": variants });
    let statuses = L::Status::VARIANTS.iter().map(ToString::to_string).collect();
    let mut parameters = vec![
        query("status", "With this status.", &words(statuses)),
        reference("CreatedFrom"),
        reference("CreatedTo"),
        reference("Sort"),
        reference("Page"),
        reference("Limit"),
        reference("Cursor"),
        if_none_match(),
    ];
    if L::HAS_USERS {
        let user = json!({ "type": "string", "format": "uuid" });
        parameters.insert(1, query("userId", "Of this customer.", &user));
    }
    parameters
}

/// The last step that the client has.
pub(super) fn last_event_id() -> Value {
    reference("LastEventId")
}

/// How many steps.
pub(super) fn events_limit() -> Value {
    reference("EventsLimit")
}

/// What the client has already.
pub(super) fn if_none_match() -> Value {
    reference("IfNoneMatch")
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
    let time = json!({ "type": "string", "format": "date-time" });
    let sorts: Vec<_> = Sort::VARIANTS.iter().map(ToString::to_string).collect();
    json!({
        "Page": query(
            "page",
            "The page's number, from 1. Values out of range are clamped, what is no number counts as 1. Not together with `cursor`, \
             `userId` or a time: of those there is no total.",
            &json!({ "type": "integer", "minimum": 1, "default": 1 }),
        ),
        "Limit": query(
            "limit",
            "Most items. Values out of range are clamped, what is no number counts as missing.",
            &json!({ "type": "integer", "minimum": 1, "maximum": most, "default": 10 }),
        ),
        "Cursor": query(
            "cursor",
            "Where to go on: what the header `Link` with `rel=\"next\"` gave, together with the filters. Opaque. Not together with \
             `page`.",
            &json!({ "type": "string" }),
        ),
        "CreatedFrom": query("createdFrom", "Created at this time or later.", &time),
        "CreatedTo": query("createdTo", "Created before this time.", &time),
        "Sort": query(
            "sort",
            "The order, by the time at which they were created.",
            &json!({ "type": "string", "enum": sorts, "default": Sort::default().to_string() }),
        ),
        "EventsLimit": query(
            "limit",
            "Most steps. Values out of range are clamped. Not for streams.",
            &json!({ "type": "integer", "minimum": 1, "maximum": most, "default": most }),
        ),
        "LastEventId": header(
            "Last-Event-ID",
            "Of a stream: the `id` of the last event that the client has. It goes before `after`.",
            json!({ "type": "string" }),
        ),
        "IfNoneMatch": header(
            "If-None-Match",
            "The `ETag` of an earlier answer: `304` if it still holds.",
            json!({ "type": "string" }),
        ),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "Names the command: 1 to 255 visible ASCII characters, bare or in double quotes. The same key with the same request \
             happens once, and is answered as it was the first time; with another request it is refused with `422`.",
            json!({ "type": "string", "pattern": r#"^("[ !#-\[\]-~]{1,255}"|[!#-~]([ !#-~]{0,253}[!#-~])?)$"# }),
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
