//! The gateway's HTTP as OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.1.html>).
//!
//! ```text
//! http::table (each route with its Operation) ─→ document ─→ GET /api/openapi.json, GET /api/docs
//!                contracts (types as schemas, golden files as examples) ──┘
//! ```
//!
//! There is no second list of paths: a route can't be served without an [`Operation`], and none is described that is not served.

mod description;
mod operation;
pub(crate) mod operations;
mod parameter;
mod response;

use chassis::http::Route;
use contracts::api_key::Scope;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

pub(crate) use operation::Operation;

/// A route and what it does.
pub(crate) struct Described<S> {
    pub(crate) route: Route<S>,
    pub(crate) operation: Operation,
}

/// Routes that need the same scope of a key; none that need no key.
pub(crate) struct Group<S> {
    pub(crate) scope: Option<Scope>,
    pub(crate) routes: Vec<Described<S>>,
}

/// What all operations of the document share.
pub(crate) struct Components {
    pub(crate) schemas: SchemaGenerator,
    pub(crate) responses: Map<String, Value>,
}

/// The document of these routes.
pub(crate) fn document<S>(groups: &[Group<S>]) -> Value {
    let schemas = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut components = Components { schemas: schemas.into_generator(), responses: Map::new() };
    let any_problem = response::any_problem(&mut components.schemas);
    components.responses.insert("AnyProblem".to_owned(), any_problem);
    let mut paths: Map<String, Value> = Map::new();
    for Group { scope, routes } in groups {
        for Described { route, operation } in routes {
            let item = paths.entry(route.template()).or_insert_with(|| json!({}));
            let method = route.method().as_str().to_lowercase();
            item[method] = operation.describe(*scope, &mut components);
        }
    }
    let Components { mut schemas, responses } = components;
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "paysaga",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Orders and their payments, settled by a saga.",
            "description": description::TEXT,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/", "description": "This gateway." }],
        "tags": description::tags(),
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": responses,
            "headers": response::headers(),
            "parameters": parameter::shared(),
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, as `paysaga key new` makes it. What an operation needs of it is its scope.",
                },
            },
        },
        "externalDocs": { "url": "/api/asyncapi.json", "description": "The events on the broker, as AsyncAPI 3.0." },
    })
}
