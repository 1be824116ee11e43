//! A message as it comes out of a dead-letter queue.

use contracts::topology::Queue;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::broker;
use crate::consumer::rejections::id_of;
use crate::telemetry::TraceContext;
use crate::text::storable;

/// What is kept of a message that failed. Texts hold no NUL characters, which PostgreSQL can't store.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DeadLetter<'a> {
    pub(super) id: Uuid,
    pub(super) queue: Queue,
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) message_id: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) trace: TraceContext,
    pub(super) headers: Value,
    pub(super) body: &'a [u8],
    /// The broker's reason for dead-lettering it; none if a consumer rejected it, which has noted a better one.
    pub(super) death: Option<String>,
}

impl<'a> DeadLetter<'a> {
    /// Reads a delivery of the dead-letter queue of `queue`.
    pub(super) fn of(queue: Queue, delivery: &'a Delivery) -> Self {
        let Delivery { exchange, routing_key, properties, data, .. } = delivery;
        let text =
            |value: &Option<lapin::types::ShortString>| value.as_ref().map(|value| storable(value.as_str()));
        let message_id = text(properties.message_id());
        // The message's way before it died. A message that was published straight to the queue has none.
        let death = Death::of(properties, queue);
        Self {
            id: id_of(queue, properties.message_id().as_ref().map(lapin::types::ShortString::as_str), data),
            queue,
            exchange: death.exchange.unwrap_or_else(|| storable(exchange.as_str())),
            routing_key: death.routing_key.unwrap_or_else(|| storable(routing_key.as_str())),
            message_id,
            event_type: text(properties.kind()),
            user_id: text(properties.user_id()),
            correlation_id: text(properties.correlation_id()),
            trace: broker::trace_context(properties),
            headers: properties.headers().as_ref().map_or_else(|| Value::Object(Map::new()), table),
            body: data,
            death: match death.reason.as_deref() {
                Some("rejected") => None,
                Some("delivery_limit") => {
                    Some("delivered too often without being acknowledged (delivery_limit)".to_owned())
                }
                Some(reason) => Some(reason.to_owned()),
                None => Some("found in the dead-letter queue".to_owned()),
            },
        }
    }
}

/// The newest entry of `x-death` for a queue (<https://www.rabbitmq.com/docs/dlx#effects>).
#[derive(Default)]
struct Death {
    exchange: Option<String>,
    routing_key: Option<String>,
    reason: Option<String>,
}

impl Death {
    fn of(properties: &BasicProperties, queue: Queue) -> Self {
        let deaths = properties.headers().as_ref().and_then(|headers| headers.inner().get("x-death"));
        let Some(AMQPValue::FieldArray(deaths)) = deaths else { return Self::default() };
        let entries = deaths.as_slice().iter().filter_map(|death| match death {
            AMQPValue::FieldTable(entry) => Some(entry),
            _ => None,
        });
        let mut entries = entries.filter(|entry| field(entry, "queue").as_deref() == Some(queue.name()));
        let Some(entry) = entries.next() else { return Self::default() };
        let routing_key = match entry.inner().get("routing-keys") {
            Some(AMQPValue::FieldArray(keys)) => keys.as_slice().first().and_then(as_text),
            _ => None,
        };
        Self { exchange: field(entry, "exchange"), routing_key, reason: field(entry, "reason") }
    }
}

fn field(table: &FieldTable, name: &str) -> Option<String> {
    table.inner().get(name).and_then(as_text)
}

fn as_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(storable(&String::from_utf8_lossy(text.as_bytes()))),
        AMQPValue::ShortString(text) => Some(storable(text.as_str())),
        _ => None,
    }
}

/// AMQP headers as JSON, for people to read.
fn table(table: &FieldTable) -> Value {
    let members = table.inner().iter().map(|(name, value)| (storable(name.as_str()), value_as_json(value)));
    Value::Object(members.collect())
}

fn value_as_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => Value::from(*value),
        AMQPValue::ShortShortInt(value) => Value::from(*value),
        AMQPValue::ShortShortUInt(value) => Value::from(*value),
        AMQPValue::ShortInt(value) => Value::from(*value),
        AMQPValue::ShortUInt(value) => Value::from(*value),
        AMQPValue::LongInt(value) => Value::from(*value),
        AMQPValue::LongUInt(value) => Value::from(*value),
        AMQPValue::LongLongInt(value) => Value::from(*value),
        AMQPValue::Float(value) => Value::from(*value),
        AMQPValue::Double(value) => Value::from(*value),
        AMQPValue::Timestamp(value) => Value::from(*value),
        AMQPValue::ShortString(_) | AMQPValue::LongString(_) => {
            as_text(value).map_or(Value::Null, Value::String)
        }
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(value_as_json).collect(),
        AMQPValue::FieldTable(members) => table(members),
        AMQPValue::ByteArray(bytes) => Value::String(storable(&String::from_utf8_lossy(bytes.as_slice()))),
        AMQPValue::DecimalValue(value) => Value::String(format!("{value:?}")),
        AMQPValue::Void => Value::Null,
    }
}
