//! What one route does.

use contracts::ProblemType;
use contracts::api_key::Scope;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::response::{self, Answer};
use super::{Components, parameter};

/// Writes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What one route does, for its description.
pub(crate) struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    parameters: Vec<Value>,
    body: Option<Body>,
    answers: Vec<Answer>,
    problems: Vec<ProblemType>,
}

struct Body {
    schema: SchemaOf,
    example: &'static str,
}

impl Operation {
    pub(super) const fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            description: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) const fn description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// Takes a parameter of the path or the query, or a header.
    pub(super) fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    pub(super) fn parameters(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// Needs a JSON body, and may be answered that it is too large or wrong.
    pub(super) fn body<T: JsonSchema>(mut self, example: &'static str) -> Self {
        self.body = Some(Body { schema: SchemaGenerator::subschema_for::<T>, example });
        self.problems([ProblemType::InvalidRequest, ProblemType::ContentTooLarge])
    }

    /// Answers with this on success.
    pub(super) fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// May be answered with these problems, besides those that any request may meet.
    pub(super) fn problems(mut self, problems: impl IntoIterator<Item = ProblemType>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// The operation as OpenAPI has it.
    pub(super) fn describe(&self, scope: Option<Scope>, components: &mut Components) -> Value {
        let mut problems = self.problems.clone();
        if scope.is_some() {
            problems.extend([
                ProblemType::Unauthenticated,
                ProblemType::InsufficientScope,
                ProblemType::AddressNotAllowed,
                ProblemType::OriginNotAllowed,
            ]);
        }
        problems.push(ProblemType::TooManyRequests);
        let mut responses: Map<_, _> = self
            .answers
            .iter()
            .map(|answer| (answer.status.as_str().to_owned(), answer.describe(&mut components.schemas)))
            .collect();
        for (status, problems) in response::by_status(problems) {
            let (name, described) = response::of_problems(&problems, &mut components.schemas);
            components.responses.entry(name.clone()).or_insert(described);
            responses.insert(status.to_string(), response::reference(&name));
        }
        // Among them what no route decides: a broken request line, a method that the path does not take, an error of ours.
        responses.insert("default".to_owned(), response::reference("AnyProblem"));
        let parameters: Vec<_> = self.parameters.iter().cloned().chain(parameter::of_any()).collect();
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
            "parameters": parameters,
            "responses": responses,
            "security": scope.map_or_else(|| json!([]), |scope| json!([{ "apiKey": [scope.to_string()] }])),
        });
        if let Some(Body { schema, example }) = &self.body {
            operation["requestBody"] = json!({
                "required": true,
                "content": { "application/json": {
                    "schema": schema(&mut components.schemas),
                    "examples": { "example": { "value": response::example(example) } },
                } },
            });
        }
        operation
    }
}
