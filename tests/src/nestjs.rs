//! A stand-in for one of the NestJS services that paysaga replaces, true to theirs in what the broker sees of it: classic
//! queues, events without our members, messages that are published without `mandatory` and without confirms. What it knows
//! is in memory, where a test can carry it over to ours and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use contracts::topology::{Exchange, Queue, Service};
use contracts::{EventType, Timestamp};
use futures_util::StreamExt;
use futures_util::stream::select_all;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use serde_json::{Value, json};
use strum::VariantArray;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::api::USER;

/// The properties of a persistent message (AMQP 0-9-1 §4.2.6).
const PERSISTENT: u8 = 2;

/// An order or a payment as theirs knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its status, in the contract's words.
    pub status: String,
    /// The amount, as a JSON number.
    pub amount: String,
}

/// What a service knows: orders, or payments by their order.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// By the order's id.
    pub records: BTreeMap<Uuid, Record>,
    /// Commands that were carried out, by their event's id.
    handled: BTreeSet<Uuid>,
    /// Cancellations that arrived before their order.
    cancelled_early: BTreeSet<Uuid>,
}

impl Books {
    /// Books that know these records.
    #[must_use]
    pub fn of(records: BTreeMap<Uuid, Record>) -> Self {
        Self { records, ..Self::default() }
    }

    /// How many records have a status.
    #[must_use]
    pub fn count(&self, status: &str) -> usize {
        self.records.values().filter(|record| record.status == status).count()
    }
}

/// A running stand-in.
pub struct NestJs {
    channel: Channel,
    connection: Connection,
    books: Arc<Mutex<Books>>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

impl NestJs {
    /// Asserts the queues that the service consumes, as theirs does when it starts, and consumes them.
    pub async fn start(service: Service, url: &str, books: Books) -> Self {
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel can be opened");
        assert_exchanges(&channel).await;
        channel.basic_qos(50, BasicQosOptions::default()).await.expect("a prefetch can be set");
        let mut consumers = Vec::new();
        for queue in service.queues().filter(|queue| queue.is_known_to_nestjs()) {
            assert_queue(&channel, queue).await;
            let (queue, options) = (queue.name().into(), BasicConsumeOptions::default());
            let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await;
            consumers.push(consumer.expect("it can be consumed"));
        }
        let books = Arc::new(Mutex::new(books));
        let (stop, stopped) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(consume(service, channel.clone(), consumers, Arc::clone(&books), stopped));
        Self { channel, connection, books, stop: Some(stop), tasks }
    }

    /// What it knows now.
    #[must_use]
    pub fn books(&self) -> Books {
        self.books.lock().expect("no one panics with them").clone()
    }

    /// As a gateway: requests an order under an id of the request's, not of the order's.
    pub async fn request_order(&self, total: &str) {
        let total: Value = serde_json::from_str(total).expect("a JSON number");
        let payload = json!({"userId": USER, "total": total});
        publish(&self.channel, EventType::CreateOrderRequested, &payload).await;
    }

    /// As a gateway: requests the cancellation of an order.
    pub async fn request_cancellation(&self, order: Uuid) {
        publish(&self.channel, EventType::OrderCancelRequested, &json!({"orderId": order})).await;
    }

    /// Stops it after the message that it has in hand; returns what it knows. The broker delivers the others again.
    pub async fn stop(mut self) -> Books {
        drop(self.stop.take());
        while self.tasks.join_next().await.is_some() {}
        // Everything that was published is on the broker before it answers this.
        self.connection.close(200, "stopped".into()).await.expect("it can be closed");
        self.books()
    }
}

async fn assert_exchanges(channel: &Channel) {
    for exchange in Exchange::VARIANTS {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel
            .exchange_declare(exchange.name().into(), ExchangeKind::Topic, options, FieldTable::default())
            .await
            .expect("the exchange can be asserted");
    }
}

/// Durable classic queues; the one that is consumed has two arguments and no others.
async fn assert_queue(channel: &Channel, queue: Queue) {
    let dead_letter_queue = queue.dead_letter_queue();
    let mut arguments = FieldTable::default();
    let text = |value: &'static str| AMQPValue::LongString(value.into());
    arguments.insert("x-dead-letter-exchange".into(), text(Exchange::DeadLetters.name()));
    arguments.insert("x-dead-letter-routing-key".into(), text(dead_letter_queue));
    for (name, arguments) in [(dead_letter_queue, FieldTable::default()), (queue.name(), arguments)] {
        let asserted = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await;
        asserted.unwrap_or_else(|error| panic!("{name} can't be asserted: {error}"));
    }
    let routes = queue.routes().map(|route| (queue.name(), route.exchange, route.routing_key));
    for (queue, exchange, key) in
        routes.chain([(dead_letter_queue, Exchange::DeadLetters, dead_letter_queue)])
    {
        let options = QueueBindOptions::default();
        channel
            .queue_bind(queue.into(), exchange.name().into(), key.into(), options, FieldTable::default())
            .await
            .expect("it can be bound");
    }
}

async fn consume(
    service: Service,
    channel: Channel,
    consumers: Vec<Consumer>,
    books: Arc<Mutex<Books>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut deliveries = select_all(consumers);
    loop {
        let delivery = tokio::select! {
            biased;
            _ = &mut stopped => return,
            Some(delivery) = deliveries.next() => delivery.expect("the channel stays open"),
            // A gateway consumes nothing.
            else => { stopped.await.ok(); return; }
        };
        handle(service, &channel, &books, delivery).await;
    }
}

/// Changes the books, publishes what follows, and acknowledges.
async fn handle(service: Service, channel: &Channel, books: &Mutex<Books>, delivery: Delivery) {
    let message: Value = serde_json::from_slice(&delivery.data).expect("JSON");
    let event_type: EventType =
        message["eventType"].as_str().and_then(|name| name.parse().ok()).expect("a known event");
    let followed = {
        let mut books = books.lock().expect("no one panics with them");
        match service {
            Service::Payment => books.pay(event_type, &message["payload"]),
            _ => books.order(event_type, &message),
        }
    };
    if let Some((event_type, payload)) = followed {
        publish(channel, event_type, &payload).await;
    }
    delivery.ack(BasicAckOptions::default()).await.expect("it can be acknowledged");
}

async fn publish(channel: &Channel, event_type: EventType, payload: &Value) {
    let event_id = Uuid::new_v4();
    let body = json!({
        "eventType": event_type,
        "eventId": event_id,
        "occurredAt": Timestamp::now(),
        "payload": payload,
    });
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(event_id.to_string().into())
        .with_type(event_type.to_string().into());
    let route = event_type.route();
    let (exchange, key) = (route.exchange.name().into(), route.routing_key.into());
    let body = body.to_string();
    let sent =
        channel.basic_publish(exchange, key, BasicPublishOptions::default(), body.as_bytes(), properties);
    sent.await.expect("it can be sent");
}

impl Books {
    /// What the order service does with an event.
    fn order(&mut self, event_type: EventType, message: &Value) -> Option<(EventType, Value)> {
        let payload = &message["payload"];
        let named = id(&payload["orderId"]);
        if event_type == EventType::CreateOrderRequested {
            let event = id(&message["eventId"]).expect("an event has an id");
            if !self.handled.insert(event) {
                return None;
            }
            // A NestJS gateway names no order.
            let order = named.unwrap_or_else(Uuid::new_v4);
            let total = &payload["total"];
            let record = Record { status: "PENDING_PAYMENT".to_owned(), amount: total.to_string() };
            self.records.insert(order, record);
            let payload = json!({"orderId": order, "userId": payload["userId"], "total": total});
            return Some((EventType::OrderCreated, payload));
        }
        let order = named?;
        let record = self.records.get_mut(&order)?;
        let (status, reason) = match (record.status.as_str(), event_type) {
            ("PENDING_PAYMENT" | "PAID", EventType::OrderCancelRequested) => {
                ("CANCELLED", Some("USER_REQUESTED"))
            }
            ("PENDING_PAYMENT", EventType::PaymentDeclined) => ("CANCELLED", Some("PAYMENT_DECLINED")),
            ("PENDING_PAYMENT", EventType::PaymentApproved) => ("PAID", None),
            ("PENDING_PAYMENT", EventType::PaymentFailed) => ("FAILED", None),
            _ => return None,
        };
        status.clone_into(&mut record.status);
        let cancelled = json!({"orderId": order, "reason": reason?, "cancelledAt": Timestamp::now()});
        Some((EventType::OrderCancelled, cancelled))
    }

    /// What the payment service does with an event. The cents decide: 02 are declined, 03 fail, others are approved.
    fn pay(&mut self, event_type: EventType, payload: &Value) -> Option<(EventType, Value)> {
        let order = id(&payload["orderId"]).expect("an order is named");
        if event_type == EventType::OrderCancelled {
            match self.records.get_mut(&order) {
                Some(record) if record.status == "APPROVED" => "REFUNDED".clone_into(&mut record.status),
                Some(_) => {}
                None => _ = self.cancelled_early.insert(order),
            }
            return None;
        }
        if self.records.contains_key(&order) {
            return None;
        }
        let amount = payload["total"].to_string();
        let (status, followed) = if self.cancelled_early.contains(&order) {
            ("CANCELLED", None)
        } else if amount.ends_with(".02") {
            ("DECLINED", Some((EventType::PaymentDeclined, json!({"orderId": order, "reason": "no money"}))))
        } else if amount.ends_with(".03") {
            ("FAILED", Some((EventType::PaymentFailed, json!({"orderId": order, "error": "no answer"}))))
        } else {
            let transaction = json!({"orderId": order, "transactionId": Uuid::new_v4()});
            ("APPROVED", Some((EventType::PaymentApproved, transaction)))
        };
        self.records.insert(order, Record { status: status.to_owned(), amount });
        followed
    }
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}
