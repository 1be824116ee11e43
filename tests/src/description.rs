//! The gateway's description of its HTTP, and whether answers are what it says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use http::{HeaderMap, Method, StatusCode, header};
use jsonschema::Validator;
use serde_json::{Value, json};

/// The description of the gateway that is tested, which every answer is held against.
pub static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| Description::of(gateway::openapi()));

/// An OpenAPI document, and which of its answers were seen.
pub struct Description {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
    seen: Mutex<BTreeSet<(String, String)>>,
}

impl Description {
    fn of(document: Value) -> Self {
        Self { document, validators: Mutex::default(), seen: Mutex::default() }
    }

    /// The document.
    #[must_use]
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// Each operation with its method and the template of its path.
    pub fn operations(&self) -> impl Iterator<Item = (Method, &str, &Value)> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(template, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| {
                (method.to_uppercase().parse().expect("a method"), template.as_str(), operation)
            })
        })
    }

    /// Holds the head of a stream against the description.
    pub fn check_stream(&self, method: &Method, path: &str, status: StatusCode, headers: &HeaderMap) {
        let Some((template, operation)) = self.find(method, path) else { return };
        let place = format!("{method} {template} answered {status}");
        let response = self.resolve(&operation["responses"][status.as_str()]);
        assert!(
            response["content"].get("text/event-stream").is_some(),
            "{place} with a stream that is not described"
        );
        self.check_headers(&place, response, headers);
    }

    /// Holds an answer against the description; panics if it says otherwise. What is sent to a path that is not described, or
    /// with another method, has no description.
    pub fn check(&self, method: &Method, path: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
        let as_get = *method == Method::HEAD;
        let Some((template, operation)) = self.find(if as_get { &Method::GET } else { method }, path) else {
            return;
        };
        let place = format!("{method} {template} answered {status}");
        let described = &operation["responses"];
        let (key, response) = if let Some(response) = described.get(status.as_str()) {
            (status.as_str(), response)
        } else {
            // What any request may be answered with is not described for each.
            let told = String::from_utf8_lossy(body);
            assert_eq!(status, StatusCode::REQUEST_TIMEOUT, "{place}, which is not described: {told}");
            ("default", &described["default"])
        };
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        self.seen.lock().expect("no panic").insert((id, key.to_owned()));
        let response = self.resolve(response);
        self.check_headers(&place, response, headers);
        let Some(content) = response.get("content").filter(|_| !as_get && status != StatusCode::NOT_MODIFIED)
        else {
            assert!(body.is_empty(), "{place} with a body that is not described");
            return;
        };
        let media_type =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let content =
            content.get(media_type).unwrap_or_else(|| panic!("{place} with {media_type:?}, not described"));
        if media_type.ends_with("json") {
            let body = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{place}: {error}"));
            let schema = || content["schema"].clone();
            let validator = self.validator(format!("{method} {template} {key} {media_type}"), schema);
            let wrong: Vec<_> = validator
                .iter_errors(&body)
                .map(|error| format!("{error} at {}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{place}, and its body is not as described: {wrong:?}: {body}");
        }
    }

    fn check_headers(&self, place: &str, response: &Value, headers: &HeaderMap) {
        for (name, described) in response["headers"].as_object().into_iter().flatten() {
            if self.resolve(described)["required"] == json!(true) {
                assert!(headers.contains_key(name), "{place} without {name}");
            }
        }
    }

    fn find(&self, method: &Method, path: &str) -> Option<(&str, &Value)> {
        let path = path.split('?').next().unwrap_or_default();
        let path = path.strip_suffix('/').unwrap_or(path);
        let fits = |template: &str| {
            let (wanted, found) = (template.split('/'), path.split('/'));
            wanted.clone().count() == found.clone().count()
                && wanted.zip(found).all(|(wanted, found)| wanted == found || wanted.starts_with('{'))
        };
        // One without parameters comes first.
        let fitting = self.operations().filter(|(other, template, _)| other == method && fits(template));
        fitting
            .min_by_key(|(_, template, _)| template.matches('{').count())
            .map(|(_, template, operation)| (template, operation))
    }

    /// What a `$ref` stands for.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        self.document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    /// The validator of a schema of the document.
    fn validator(&self, name: String, schema: impl FnOnce() -> Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().expect("no panic");
        let made = validators.entry(name).or_insert_with(|| {
            let mut schema = schema();
            schema["components"] = json!({ "schemas": self.document["components"]["schemas"] });
            Arc::new(jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema"))
        });
        Arc::clone(made)
    }

    /// The described answers that were not seen, by operation.
    #[must_use]
    pub fn unseen(&self) -> BTreeMap<String, Vec<String>> {
        let seen = self.seen.lock().expect("no panic");
        let mut unseen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, _, operation) in self.operations() {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            for status in
                operation["responses"].as_object().into_iter().flatten().map(|(status, _)| status.clone())
            {
                if status != "default" && !seen.contains(&(id.clone(), status.clone())) {
                    unseen.entry(id.clone()).or_default().push(status);
                }
            }
        }
        unseen
    }
}
