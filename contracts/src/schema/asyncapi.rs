//! The broker as AsyncAPI 3.0 (<https://www.asyncapi.com/docs/reference/specification/v3.0.0>): every exchange, queue, routing key,
//! message and payload, from the tables by which the services declare, publish and consume.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use strum::VariantArray;

use super::examples;
use crate::event::{
    CreateOrderRequested, OrderCancelRequested, OrderCancelled, OrderCreated, PaymentApproved,
    PaymentCancelled, PaymentDeclined, PaymentFailed, PaymentRefunded,
};
use crate::topology::{Arguments, Exchange, Queue, ROUTES, Route, Service};
use crate::{EventId, EventType, Timestamp};

/// Version of the AMQP bindings (<https://github.com/asyncapi/bindings/tree/master/amqp>).
const BINDING: &str = "0.3.0";

/// The document.
#[must_use]
pub fn document() -> Value {
    // The dialect of AsyncAPI 3.0 is a superset of draft 7.
    let mut generator = SchemaSettings::draft07()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    let messages: Map<_, _> =
        ROUTES.iter().map(|route| (route.event_type.to_string(), message(route, &mut generator))).collect();
    let queues = Queue::VARIANTS.iter().flat_map(|queue| {
        [
            (key(queue.name()), queue_channel(*queue)),
            (key(queue.dead_letter_queue()), dead_letter_channel(*queue)),
        ]
    });
    let channels: Map<_, _> = ROUTES
        .iter()
        .map(|route| (key(route.routing_key), routing_key_channel(route)))
        .chain(queues)
        .collect();
    let sends = ROUTES.iter().map(send);
    let operations: Map<_, _> = sends.chain(Queue::VARIANTS.iter().map(|queue| receive(*queue))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "paysaga: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The events of the order and payment saga on RabbitMQ. Three services publish and consume them; there is \
                            no coordinator. Every event is an envelope with a payload; every queue has a dead-letter queue.",
            "license": { "name": "MIT" },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": generator.take_definitions(true) },
    })
}

/// The key of a channel or an operation: letters, digits, `-` and `_`.
fn key(name: &str) -> String {
    name.replace('.', "_")
}

fn reference(path: &str) -> Value {
    json!({ "$ref": format!("#/{path}") })
}

/// What a channel carries, by reference.
fn carried<'a>(routes: impl Iterator<Item = &'a Route>) -> Map<String, Value> {
    let name = |route: &Route| route.event_type.to_string();
    routes.map(|route| (name(route), reference(&format!("components/messages/{}", name(route))))).collect()
}

fn routing_key_channel(route: &Route) -> Value {
    let Route { routing_key, exchange, queue, .. } = route;
    json!({
        "address": routing_key,
        "title": format!("Routing key {routing_key}"),
        "description": format!("Published to `{exchange}`, routed to `{queue}`."),
        "messages": carried([route].into_iter()),
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": { "name": exchange.name(), "type": "topic", "durable": true, "autoDelete": false, "vhost": "/" },
            "bindingVersion": BINDING,
        } },
    })
}

fn queue_channel(queue: Queue) -> Value {
    let dead_letters = queue.dead_letter_queue();
    channel_of_queue(
        queue.name(),
        &format!(
            "Consumed by the {} service. What it rejects goes to `{dead_letters}` by `{}`.",
            queue.consumer(),
            Exchange::DeadLetters
        ),
        queue,
        &queue.arguments(),
    )
}

fn dead_letter_channel(queue: Queue) -> Value {
    let description = format!(
        "What the {} service rejected from `{queue}`: it stores it as a failed message, to be inspected and replayed.",
        queue.consumer()
    );
    channel_of_queue(queue.dead_letter_queue(), &description, queue, &Queue::dead_letter_arguments())
}

fn channel_of_queue(name: &str, description: &str, carries: Queue, arguments: &Arguments) -> Value {
    let arguments: Map<_, _> =
        arguments.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "address": name,
        "title": format!("Queue {name}"),
        "description": description,
        "messages": carried(carries.routes()),
        "bindings": { "amqp": {
            "is": "queue",
            "queue": { "name": name, "durable": true, "exclusive": false, "autoDelete": false, "vhost": "/" },
            "bindingVersion": BINDING,
        } },
        "x-arguments": arguments,
    })
}

fn send(route: &Route) -> (String, Value) {
    let Route { routing_key, publisher, event_type, .. } = route;
    let channel = key(routing_key);
    let operation = json!({
        "action": "send",
        "channel": reference(&format!("channels/{channel}")),
        "title": format!("{publisher} publishes {event_type}"),
        "messages": [reference(&format!("channels/{channel}/messages/{event_type}"))],
        "tags": [{ "name": publisher.name() }],
        // Persistent, and returned if it can't be routed.
        "bindings": { "amqp": { "deliveryMode": 2, "mandatory": true, "bindingVersion": BINDING } },
    });
    (format!("{publisher}_sends_{event_type}"), operation)
}

fn receive(queue: Queue) -> (String, Value) {
    let (channel, consumer): (_, Service) = (key(queue.name()), queue.consumer());
    let messages =
        queue.routes().map(|route| reference(&format!("channels/{channel}/messages/{}", route.event_type)));
    let operation = json!({
        "action": "receive",
        "channel": reference(&format!("channels/{channel}")),
        "title": format!("{consumer} consumes {queue}"),
        "messages": messages.collect::<Vec<_>>(),
        "tags": [{ "name": consumer.name() }],
        "bindings": { "amqp": { "ack": true, "bindingVersion": BINDING } },
    });
    (format!("{consumer}_receives_{channel}"), operation)
}

fn message(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let event_type = route.event_type;
    let payload = payload(event_type, generator);
    // Readers ignore members that they don't know.
    let envelope = json!({
        "type": "object",
        "required": ["eventType", "eventId", "occurredAt", "payload"],
        "properties": {
            "eventType": { "const": event_type.to_string() },
            "eventId": generator.subschema_for::<EventId>(),
            "occurredAt": generator.subschema_for::<Timestamp>(),
            "correlationId": {
                "type": "string",
                "description": "Joins everything that one request of a client caused. Absent where a NestJS service sent none.",
            },
            "payload": payload,
        },
    });
    let example: Value = serde_json::from_str(examples::event(event_type)).unwrap_or_default();
    json!({
        "name": event_type.to_string(),
        "title": event_type.to_string(),
        "summary": generator.definitions().get(event_type.into()).and_then(|payload| payload.get("description")),
        "contentType": "application/json",
        "correlationId": { "location": "$message.payload#/correlationId" },
        "headers": {
            "type": "object",
            "properties": {
                "traceparent": { "type": "string", "description": "W3C Trace Context of the span that published it." },
                "tracestate": { "type": "string" },
            },
        },
        "payload": envelope,
        "bindings": { "amqp": { "messageType": event_type.to_string(), "bindingVersion": BINDING } },
        "examples": [{ "name": event_type.to_string(), "payload": example }],
    })
}

fn payload(event_type: EventType, generator: &mut SchemaGenerator) -> Value {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
        generator.subschema_for::<T>().to_value()
    }
    match event_type {
        EventType::CreateOrderRequested => of::<CreateOrderRequested>(generator),
        EventType::OrderCancelRequested => of::<OrderCancelRequested>(generator),
        EventType::OrderCreated => of::<OrderCreated>(generator),
        EventType::OrderCancelled => of::<OrderCancelled>(generator),
        EventType::PaymentApproved => of::<PaymentApproved>(generator),
        EventType::PaymentDeclined => of::<PaymentDeclined>(generator),
        EventType::PaymentFailed => of::<PaymentFailed>(generator),
        EventType::PaymentCancelled => of::<PaymentCancelled>(generator),
        EventType::PaymentRefunded => of::<PaymentRefunded>(generator),
    }
}
