//! The broker, as another service uses it: publishes events, and reads queues.

use contracts::event::CreateOrderRequested;
use contracts::topology::Queue;
use contracts::{Envelope, EventType, OrderId, Owner};
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use strum::VariantArray;

use crate::api::USER;
use crate::{WireTap, eventually};

/// A connection to the virtual host of a stack.
pub struct Amqp {
    connection: Connection,
    channel: Channel,
}

impl Amqp {
    /// Connects to the virtual host at this URL.
    pub async fn connect(url: &str) -> Self {
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel can be opened");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms can be had");
        Self { connection, channel }
    }

    /// Publishes an event, as the service does whose event it is.
    pub async fn publish_event(&self, envelope: &Envelope) {
        let body = envelope.encode().expect("an event can be written");
        self.publish(envelope.event.event_type(), body.body.as_bytes(), BasicProperties::default()).await;
    }

    /// Publishes the command that places an order of 10.01 with this id, as a gateway does; a NestJS gateway names no owner.
    pub async fn place(&self, order_id: OrderId, owner: Option<Owner>) {
        self.place_for(order_id, owner, "10.01").await;
    }

    /// The same for another total.
    pub async fn place_for(&self, order_id: OrderId, owner: Option<Owner>, total: &str) {
        let total = total.parse().expect("an amount");
        let user_id = USER.parse().expect("a UUID");
        let command = CreateOrderRequested { order_id: Some(order_id), user_id, total, owner };
        self.publish_event(&Envelope::now(command, None)).await;
    }

    /// Publishes any body with the exchange and routing key of an event type.
    pub async fn publish(&self, event_type: EventType, body: &[u8], properties: BasicProperties) {
        let route = event_type.route();
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let (exchange, key) = (route.exchange.name().into(), route.routing_key.into());
        let sent = self.channel.basic_publish(exchange, key, options, body, properties).await;
        let confirmed = sent.expect("it can be sent").await.expect("the broker answers");
        assert_eq!(confirmed, Confirmation::Ack(None), "the broker confirmed {event_type}");
    }

    /// Deletes the binding by which an event reaches its queue.
    pub async fn unbind(&self, event_type: EventType) {
        let route = event_type.route();
        let (queue, exchange) = (route.queue.name().into(), route.exchange.name().into());
        let unbound =
            self.channel.queue_unbind(queue, exchange, route.routing_key.into(), FieldTable::default());
        unbound.await.expect("it can be unbound");
    }

    /// Taps every message that is published from now on.
    pub async fn tap(&self) -> WireTap {
        WireTap::start(&self.connection).await
    }

    /// How many messages wait in a queue.
    pub async fn depth(&self, queue: &str) -> u32 {
        // A passive declaration of a queue that does not exist closes its channel.
        let channel = self.connection.create_channel().await.expect("a channel can be opened");
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        declared.unwrap_or_else(|error| panic!("{queue}: {error}")).message_count()
    }

    /// Takes the next message from a queue, as soon as there is one.
    pub async fn take(&self, queue: &str) -> BasicGetMessage {
        let message = eventually(&format!("{queue} has a message"), async || {
            let got = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await;
            got.map_err(|error| error.to_string())?.ok_or_else(|| "it is empty".to_owned())
        })
        .await;
        message.delivery.ack(BasicAckOptions::default()).await.expect("it can be acknowledged");
        message
    }

    /// Waits until no queue of paysaga's holds a message.
    pub async fn all_queues_empty(&self) {
        for queue in Queue::VARIANTS {
            for name in [queue.name(), queue.dead_letter_queue()] {
                eventually(&format!("{name} is empty"), async || match self.depth(name).await {
                    0 => Ok(()),
                    depth => Err(format!("it holds {depth}")),
                })
                .await;
            }
        }
    }
}
