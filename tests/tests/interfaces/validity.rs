//! The documents are what the official schemas of their formats ask for, and the examples are what the documents say.

use contracts::EventType;
use contracts::schema::{asyncapi, examples};
use jsonschema::Validator;
use serde_json::{Value, json};
use strum::VariantArray;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[track_caller]
fn assert_valid(validator: &Validator, value: &Value, what: &str) {
    let wrong: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .take(5)
        .collect();
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
}

#[test]
fn the_description_of_http_is_openapi() {
    let official = parsed(include_str!("schemas/openapi-3.1.json"));
    let validator = jsonschema::draft202012::new(&official).expect("a schema");
    let document = gateway::openapi();
    assert_valid(&validator, &document, "openapi.json");
    assert!(!validator.is_valid(&json!({ "openapi": "3.1.1", "info": {} })), "the schema refuses something");
    // The schemas in it are JSON Schemas of the dialect that OpenAPI 3.1 has.
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        assert_valid(&jsonschema::draft202012::meta::validator(), schema, name);
    }
}

#[test]
fn the_description_of_the_broker_is_asyncapi() {
    let official = parsed(include_str!("schemas/asyncapi-3.0.0.json"));
    let validator = jsonschema::draft7::new(&official).expect("a schema");
    assert_valid(&validator, &asyncapi::document(), "asyncapi.json");
    assert!(!validator.is_valid(&json!({ "asyncapi": "3.0.0" })), "the schema refuses something");
}

/// The validator of messages with this event.
fn validator_of(event_type: EventType, document: &Value) -> Validator {
    let mut schema = document["components"]["messages"][event_type.to_string()]["payload"].clone();
    schema["components"] = json!({ "schemas": document["components"]["schemas"] });
    jsonschema::draft7::options().should_validate_formats(true).build(&schema).expect("a schema")
}

#[test]
fn the_golden_files_are_what_the_description_of_the_broker_says() {
    let document = asyncapi::document();
    for &event_type in EventType::VARIANTS {
        let message = parsed(examples::event(event_type));
        let validator = validator_of(event_type, &document);
        assert_valid(&validator, &message, &event_type.to_string());
        for member in ["eventType", "eventId", "occurredAt", "payload"] {
            let mut without = message.clone();
            without.as_object_mut().expect("an object").remove(member);
            assert!(!validator.is_valid(&without), "{event_type} without {member}");
        }
    }
}

#[test]
fn the_examples_are_what_the_description_of_http_says() {
    let document = gateway::openapi();
    let mut checked = 0;
    check_examples(&document, &document, &mut checked);
    assert!(checked > 40, "there are examples, not {checked}");
}

/// Wherever there are a schema and examples, these are valid.
fn check_examples(value: &Value, document: &Value, checked: &mut u32) {
    if let (Some(schema), Some(examples)) =
        (value.get("schema"), value.get("examples").and_then(Value::as_object))
    {
        let mut schema = schema.clone();
        schema["components"] = json!({ "schemas": document["components"]["schemas"] });
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&schema)
            .expect("a schema");
        for (name, example) in examples {
            assert_valid(&validator, &example["value"], name);
            *checked += 1;
        }
    }
    match value {
        Value::Object(members) => {
            for member in members.values() {
                check_examples(member, document, checked);
            }
        }
        Value::Array(items) => {
            for item in items {
                check_examples(item, document, checked);
            }
        }
        _ => {}
    }
}
