//! docs/EVENTS.md, from the description of the broker.

use std::fmt::Write;

use contracts::schema::{asyncapi, examples};
use contracts::topology::{ROUTES, Route};
use serde_json::{Value, json};

/// The document.
pub(crate) fn document() -> String {
    let api = asyncapi::document();
    let mut text = String::from(
        "# Events\n\n\
         What travels on the broker. The same for programs: `GET /api/asyncapi.json` (AsyncAPI 3.0), from which this file is generated\n\
         (`./dev documents`).\n\n\
         Exchanges are durable and of the type topic; messages are persistent, published with confirms and `mandatory`, and have\n\
         `content_type`, `message_id` (the event's id), `type` (the event's type), `correlation_id`, and the header `traceparent`. Readers\n\
         ignore members that they don't know.\n\n\
         ## Routes\n\n| event | exchange | routing key | published by | queue | consumed by |\n|---|---|---|---|---|---|\n",
    );
    // In the order of the saga, which the document has not.
    for Route { event_type, publisher, .. } in &ROUTES {
        let event = event_type.to_string();
        let operation = &api["operations"][format!("{publisher}_sends_{event}")];
        let channel = resolve(&api, &operation["channel"]);
        let (queue, consumer) = consumer_of(&api, &event);
        let exchange = word(&channel["bindings"]["amqp"]["exchange"]["name"]);
        let (key, anchor) = (word(&channel["address"]), event.to_lowercase());
        writeln!(
            text,
            "| [{event}](#{anchor}) | `{exchange}` | `{key}` | {publisher} | `{queue}` | {consumer} |"
        )
        .expect("a string");
    }
    text.push_str("\n## Queues\n\n| queue | description | arguments |\n|---|---|---|\n");
    for (_, channel) in
        members(&api["channels"]).filter(|(_, channel)| channel["bindings"]["amqp"]["is"] == "queue")
    {
        let arguments: Vec<_> = members(&channel["x-arguments"])
            .map(|(name, value)| format!("`{name}: {}`", plain(value)))
            .collect();
        writeln!(
            text,
            "| `{}` | {} | {} |",
            word(&channel["address"]),
            word(&channel["description"]),
            arguments.join(", ")
        )
        .expect("a string");
    }
    text.push_str("\n## Envelope\n\n");
    table(&mut text, &api, &envelope(&api));
    for Route { event_type, .. } in &ROUTES {
        let message = &api["components"]["messages"][event_type.to_string()];
        write!(text, "\n## {event_type}\n\n{}\n\n", word(&message["summary"])).expect("a string");
        table(&mut text, &api, resolve(&api, &message["payload"]["properties"]["payload"]));
        write!(text, "\n```json\n{}\n```\n", examples::event(*event_type)).expect("a string");
    }
    text
}

/// What all messages have in common.
fn envelope(api: &Value) -> Value {
    let mut envelope = api["components"]["messages"]["OrderCreated"]["payload"].clone();
    envelope["properties"]["eventType"] = json!({ "type": "string", "description": "Which event it is." });
    envelope["properties"]["payload"] =
        json!({ "type": "object", "description": "What happened: see below." });
    envelope
}

/// The queue that takes an event, and the service that consumes it.
fn consumer_of<'a>(api: &'a Value, event: &str) -> (&'a str, &'a str) {
    let found = members(&api["operations"]).find_map(|(name, operation)| {
        let (consumer, _) = name.split_once("_receives_")?;
        let channel = resolve(api, &operation["channel"]);
        channel["messages"].get(event).map(|_| (word(&channel["address"]), consumer))
    });
    found.expect("each event is consumed")
}

/// The members of an object as a table.
fn table(text: &mut String, api: &Value, schema: &Value) {
    text.push_str("| member | type | |\n|---|---|---|\n");
    let required: Vec<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, member) in members(&schema["properties"]) {
        let found = resolve(api, single(member));
        let optional = if required.contains(&name.as_str()) { "" } else { ", optional" };
        let own = member["description"].as_str().or(found["description"].as_str()).unwrap_or_default();
        writeln!(text, "| `{name}` | {}{optional} | {} |", type_of(found), own.replace('\n', " "))
            .expect("a string");
    }
}

/// The one type of a member that may be `null`.
fn single(member: &Value) -> &Value {
    let one_of = |name: &str| {
        let types = member[name].as_array()?;
        types.iter().find(|found| found["type"] != "null")
    };
    one_of("anyOf").or_else(|| one_of("allOf")).unwrap_or(member)
}

fn type_of(schema: &Value) -> String {
    if let Some(constant) = schema.get("const") {
        return format!("`{}`", plain(constant));
    }
    let words: Vec<_> =
        schema["enum"].as_array().into_iter().flatten().chain(one_of_constants(schema)).map(plain).collect();
    if !words.is_empty() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().map(plain).collect::<Vec<_>>().join(" or "),
        found => plain(found),
    };
    match schema["format"].as_str() {
        Some(format) => format!("{types} ({format})"),
        None => types,
    }
}

fn one_of_constants(schema: &Value) -> impl Iterator<Item = &Value> {
    schema["oneOf"].as_array().into_iter().flatten().filter_map(|one| one.get("const"))
}

/// What a `$ref` stands for.
fn resolve<'a>(api: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => api.pointer(reference.trim_start_matches('#')).expect("it leads somewhere"),
        None => value,
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
