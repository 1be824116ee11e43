//! What requests are answered with.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use ::http::StatusCode;
use contracts::page::{Page, Slice};
use contracts::schema::examples;
use contracts::{Problem, ProblemType};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::operation::SchemaOf;

/// A page with its place in the whole list, or what comes behind a cursor.
pub(super) struct PageOrSlice<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for PageOrSlice<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}PageOrSlice", T::schema_name()).into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [schemas.subschema_for::<Page<T>>(), schemas.subschema_for::<Slice<T>>()] })
    }
}

/// An answer to a request that succeeded.
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    description: &'static str,
    content: Vec<Content>,
    headers: Vec<&'static str>,
}

struct Content {
    media_type: &'static str,
    schema: Option<SchemaOf>,
    example: Option<&'static str>,
}

impl Answer {
    /// One without a body.
    pub(super) const fn empty(status: StatusCode, description: &'static str) -> Self {
        Self { status, description, content: Vec::new(), headers: Vec::new() }
    }

    /// What the client has already.
    pub(super) fn unchanged() -> Self {
        Self::empty(StatusCode::NOT_MODIFIED, "What the client has still holds.").headers(["ETag"])
    }

    /// One with this JSON.
    pub(super) fn json<T: JsonSchema>(
        status: StatusCode,
        description: &'static str,
        example: &'static str,
    ) -> Self {
        let schema: SchemaOf = SchemaGenerator::subschema_for::<T>;
        let content =
            Content { media_type: "application/json", schema: Some(schema), example: Some(example) };
        Self { content: vec![content], ..Self::empty(status, description) }
    }

    /// One with a JSON object that describes itself.
    pub(super) fn object(description: &'static str) -> Self {
        let schema: SchemaOf = |_| json_schema!({ "type": "object" });
        let content = Content { media_type: "application/json", schema: Some(schema), example: None };
        Self { content: vec![content], ..Self::empty(StatusCode::OK, description) }
    }

    /// One with text of this type.
    pub(super) fn text(media_type: &'static str, description: &'static str) -> Self {
        Self::empty(StatusCode::OK, description).or_text(media_type, None)
    }

    /// This, or text of another type, as the client asks for it.
    pub(super) fn or_text(mut self, media_type: &'static str, example: Option<&'static str>) -> Self {
        self.content.push(Content { media_type, schema: None, example });
        self
    }

    /// With these headers.
    pub(super) fn headers(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.headers.extend(names);
        self
    }

    pub(super) fn describe(&self, schemas: &mut SchemaGenerator) -> Value {
        let content: Map<_, _> = self
            .content
            .iter()
            .map(|content| {
                let schema =
                    content.schema.map_or_else(|| json!({ "type": "string" }), |of| json!(of(schemas)));
                let mut described = json!({ "schema": schema });
                if let Some(text) = content.example {
                    described["examples"] = json!({ "example": { "value": example(text) } });
                }
                (content.media_type.to_owned(), described)
            })
            .collect();
        described(self.description, self.headers.iter().copied(), content)
    }
}

/// The headers of any response, and these.
fn described<'a>(
    description: &str,
    headers: impl Iterator<Item = &'a str>,
    content: Map<String, Value>,
) -> Value {
    let any = ["x-correlation-id", "traceparent", "RateLimit", "RateLimit-Policy"];
    let headers: Map<_, _> = any
        .into_iter()
        .chain(headers)
        .map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
        .collect();
    let mut response = json!({ "description": description, "headers": headers });
    if !content.is_empty() {
        response["content"] = content.into();
    }
    response
}

/// An example: JSON, or else text.
pub(super) fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// A response of the components.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

/// The problems of each status.
pub(super) fn by_status(problems: Vec<ProblemType>) -> BTreeMap<u16, Vec<ProblemType>> {
    let mut by_status: BTreeMap<u16, Vec<ProblemType>> = BTreeMap::new();
    for problem in problems {
        let same = by_status.entry(problem.description().status).or_default();
        if !same.contains(&problem) {
            same.push(problem);
        }
    }
    for same in by_status.values_mut() {
        same.sort();
    }
    by_status
}

/// The response with one of these problems, which have the same status, and its name.
pub(super) fn of_problems(problems: &[ProblemType], schemas: &mut SchemaGenerator) -> (String, Value) {
    let names: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let descriptions: Vec<_> = problems.iter().map(|problem| problem.description()).collect();
    let types: Vec<_> = problems.iter().map(|problem| problem.uri()).collect();
    let text =
        descriptions.iter().map(|found| format!("**{}.** {} {}", found.title, found.meaning, found.remedy));
    let examples: Map<_, _> = problems
        .iter()
        .map(|problem| (problem.to_string(), json!({ "value": example(examples::problem(*problem)) })))
        .collect();
    let status = descriptions.first().map_or(0, |found| found.status);
    let own = json!({ "properties": { "type": { "enum": types }, "status": { "const": status } } });
    let schema = json!({ "allOf": [schemas.subschema_for::<Problem>(), own] });
    let headers = match status {
        401 => Some("WWW-Authenticate"),
        429 | 503 => Some("Retry-After"),
        409 if problems.contains(&ProblemType::IdempotencyKeyInUse) => Some("Retry-After"),
        _ => None,
    };
    let content = json!({ "application/problem+json": { "schema": schema, "examples": examples } });
    let Value::Object(content) = content else { return Default::default() };
    (names.join("_or_"), described(&text.collect::<Vec<_>>().join("\n\n"), headers.into_iter(), content))
}

/// The response with any problem.
pub(super) fn any_problem(schemas: &mut SchemaGenerator) -> Value {
    let content = json!({ "application/problem+json": { "schema": schemas.subschema_for::<Problem>() } });
    let Value::Object(content) = content else { return Value::Null };
    described("Another problem.", std::iter::empty(), content)
}

/// The headers of responses.
pub(super) fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    let always = |description: &str, schema: Value| json!({ "description": description, "schema": schema, "required": true });
    let text = || json!({ "type": "string" });
    let seconds = || json!({ "type": "integer", "minimum": 0 });
    json!({
        "x-correlation-id": always("Finds the request in logs, events and traces.", text()),
        "traceparent": header("The span of the request (W3C Trace Context).", text()),
        "RateLimit": header("What is left of the caller's share. Not for operators.", text()),
        "RateLimit-Policy": header("The caller's share. Not for operators.", text()),
        "Retry-After": always("After how many seconds it is worth trying again.", seconds()),
        "WWW-Authenticate": always("`Bearer`.", text()),
        "Location": always("Where the order is.", json!({ "type": "string", "format": "uri-reference" })),
        "ETag": header("Names this content, for `If-None-Match`. Of lists, the beginning has one.", text()),
        "Idempotency-Replayed": header("`true`, if this is the answer to an earlier request with the key.", text()),
        "Preference-Applied": always("`wait`, if the answer waited for the order.", text()),
        "Link": header("With `rel=\"next\"`: what comes behind the last item (RFC 8288). Absent at the end.", text()),
    })
}
