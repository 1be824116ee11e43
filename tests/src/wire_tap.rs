//! Every message that is published on the broker, copied to a queue of the test's own (the *wire tap* of Enterprise
//! Integration Patterns).

use contracts::topology::Exchange;
use contracts::{Envelope, EventType, OrderId};
use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use uuid::Uuid;

use crate::TIMEOUT;

/// A message as it was published.
#[derive(Clone, Debug)]
pub struct TappedMessage {
    /// The exchange that it was published to.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Its properties and headers.
    pub properties: BasicProperties,
    /// Its body.
    pub body: Vec<u8>,
}

impl TappedMessage {
    /// Its body as an event, which it must be.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        Envelope::decode(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Its body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        match self.properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Whether one of paysaga's services published it, not the test.
    #[must_use]
    pub fn is_from_service(&self) -> bool {
        self.properties.app_id().is_some()
    }

    /// Whether it is this event of this order.
    #[must_use]
    pub fn is(&self, event_type: EventType, order: OrderId) -> bool {
        Envelope::decode(&self.body)
            .is_ok_and(|envelope| envelope.event.event_type() == event_type && envelope.order_id() == order)
    }
}

/// A queue that is bound to every message about orders and payments.
pub struct WireTap {
    channel: Channel,
    queue: String,
    deliveries: Consumer,
    messages: Vec<TappedMessage>,
}

impl WireTap {
    pub(crate) async fn start(connection: &Connection) -> Self {
        let channel = connection.create_channel().await.expect("a channel can be opened");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms can be had");
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let declared = channel.queue_declare("".into(), options, FieldTable::default()).await;
        let queue = declared.expect("a queue can be declared").name().to_string();
        for exchange in [Exchange::Orders, Exchange::Payments] {
            let bound = channel.queue_bind(
                queue.as_str().into(),
                exchange.name().into(),
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            bound.await.expect("the queue can be bound");
        }
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consumed =
            channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
        let deliveries = consumed.await.expect("the queue can be consumed");
        Self { channel, queue, deliveries, messages: Vec::new() }
    }

    /// This event of this order, as soon as it is published.
    pub async fn wait_for(&mut self, event_type: EventType, order: OrderId) -> TappedMessage {
        let mut checked = 0;
        loop {
            let found = self.messages[checked..].iter().find(|message| message.is(event_type, order));
            if let Some(found) = found {
                return found.clone();
            }
            checked = self.messages.len();
            self.receive(&format!("{event_type} of {order} is published")).await;
        }
    }

    /// Every message that was published until now.
    pub async fn all(&mut self) -> &[TappedMessage] {
        // What was published before this mark is ahead of it in the queue.
        let mark = Uuid::new_v4();
        let sent = self.channel.basic_publish(
            "".into(),
            self.queue.as_str().into(),
            BasicPublishOptions::default(),
            mark.as_bytes(),
            BasicProperties::default(),
        );
        sent.await.expect("it can be sent").await.expect("the broker answers");
        loop {
            self.receive("the mark comes back").await;
            if self.messages.last().is_some_and(|message| message.body == mark.as_bytes()) {
                self.messages.pop();
                return &self.messages;
            }
        }
    }

    async fn receive(&mut self, what: &str) {
        let delivery = tokio::time::timeout(TIMEOUT, self.deliveries.next()).await;
        let delivery = delivery.unwrap_or_else(|_| panic!("{what}: not in time"));
        let delivery = delivery.expect("the consumer lives").expect("the channel lives");
        self.messages.push(TappedMessage {
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            properties: delivery.properties,
            body: delivery.data,
        });
    }
}
