//! Receives every message that is published on the broker, and records it, publishes copies of it, or delivers it late
//! and out of order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use contracts::topology::{Exchange, ROUTES};
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::eventually;

/// The header of a message that did not come from a service.
const COPY: &str = "x-fault-suite-copy";

/// Longest time for which [`Treatment::Shuffle`] holds a message.
const HOLD: Duration = Duration::from_secs(2);

/// What is done with each message that a service publishes.
#[derive(Clone, Copy, Debug)]
pub enum Treatment {
    /// It is recorded.
    Record,
    /// It is recorded, and published that many more times.
    Repeat(u32),
    /// It is delivered to its queue after a random time of up to two seconds, and sometimes twice.
    Shuffle,
}

/// A message as it was published.
#[derive(Clone, Debug)]
pub struct PublishedMessage {
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    body: Vec<u8>,
}

/// A running interceptor. It stops when it is dropped.
pub struct Interceptor {
    channel: Channel,
    messages: Arc<Mutex<Vec<PublishedMessage>>>,
    pending: Arc<AtomicU64>,
    last: Arc<Mutex<Instant>>,
    _task: JoinSet<()>,
    _connection: Connection,
}

impl Interceptor {
    /// Starts one. With [`Treatment::Shuffle`] the services' queues receive messages only through it.
    pub async fn start(url: &str, treatment: Treatment, seed: u64) -> Self {
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel can be opened");
        let deliveries = consume_everything(&channel).await;
        if matches!(treatment, Treatment::Shuffle) {
            unbind_everything(&channel).await;
        }
        let messages = Arc::new(Mutex::new(Vec::new()));
        let pending = Arc::new(AtomicU64::new(0));
        let last = Arc::new(Mutex::new(Instant::now()));
        let worker = Worker {
            channel: channel.clone(),
            treatment,
            random: StdRng::seed_from_u64(seed),
            held_back: JoinSet::new(),
            messages: Arc::clone(&messages),
            pending: Arc::clone(&pending),
            last: Arc::clone(&last),
        };
        let mut task = JoinSet::new();
        task.spawn(worker.run(deliveries));
        Self { channel, messages, pending, last, _task: task, _connection: connection }
    }

    /// Waits until nothing was published for two seconds and no message is held back.
    pub async fn wait_until_idle(&self) {
        eventually("no message is published or held back any more", async || {
            let (pending, idle) = (self.pending.load(Ordering::SeqCst), self.last().elapsed());
            if pending == 0 && idle > Duration::from_secs(2) {
                Ok(())
            } else {
                Err(format!("{pending} messages are held back"))
            }
        })
        .await;
    }

    /// Every message that the services published, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<PublishedMessage> {
        self.messages.lock().expect("no thread panics while it holds the lock").clone()
    }

    /// Publishes messages again, in this order.
    pub async fn republish(&self, messages: &[PublishedMessage]) {
        for message in messages {
            publish(&self.channel, message).await;
        }
    }

    fn last(&self) -> Instant {
        *self.last.lock().expect("no thread panics while it holds the lock")
    }
}

struct Worker {
    channel: Channel,
    treatment: Treatment,
    random: StdRng,
    held_back: JoinSet<()>,
    messages: Arc<Mutex<Vec<PublishedMessage>>>,
    pending: Arc<AtomicU64>,
    last: Arc<Mutex<Instant>>,
}

impl Worker {
    async fn run(mut self, mut deliveries: Consumer) {
        while let Some(Ok(delivery)) = deliveries.next().await {
            if is_copy(&delivery) {
                continue;
            }
            *self.last.lock().expect("no thread panics while it holds the lock") = Instant::now();
            let message = PublishedMessage {
                exchange: delivery.exchange,
                routing_key: delivery.routing_key,
                properties: delivery.properties,
                body: delivery.data,
            };
            self.messages.lock().expect("no thread panics while it holds the lock").push(message.clone());
            match self.treatment {
                Treatment::Record => {}
                Treatment::Repeat(times) => {
                    for _ in 0..times {
                        publish(&self.channel, &message).await;
                    }
                }
                Treatment::Shuffle => {
                    let copies = 1 + u32::from(self.random.random_bool(0.2));
                    (0..copies).for_each(|_| self.deliver_later(message.clone()));
                }
            }
        }
    }

    /// Delivers a message to its queue later, through the default exchange.
    fn deliver_later(&mut self, message: PublishedMessage) {
        let time = self.random.random_range(Duration::ZERO..HOLD);
        let (channel, pending) = (self.channel.clone(), Arc::clone(&self.pending));
        pending.fetch_add(1, Ordering::SeqCst);
        while self.held_back.try_join_next().is_some() {}
        self.held_back.spawn(async move {
            tokio::time::sleep(time).await;
            let route = ROUTES.iter().find(|route| route.routing_key == message.routing_key.as_str());
            let queue = route.expect("every message has a route").queue.name();
            let to_queue = PublishedMessage { exchange: "".into(), routing_key: queue.into(), ..message };
            publish(&channel, &to_queue).await;
            pending.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn consume_everything(channel: &Channel) -> Consumer {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let declared = channel.queue_declare("".into(), options, FieldTable::default()).await;
    let queue = declared.expect("a queue can be declared").name().clone();
    for exchange in [Exchange::Orders, Exchange::Payments] {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let bound = channel.queue_bind(queue.clone(), exchange.name().into(), "#".into(), options, arguments);
        bound.await.expect("the queue can be bound");
    }
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consumed = channel.basic_consume(queue, "".into(), options, FieldTable::default());
    consumed.await.expect("the queue can be consumed")
}

/// Unbinds the services' queues from their exchanges. A service binds them again only when it connects again.
async fn unbind_everything(channel: &Channel) {
    for route in ROUTES {
        let (queue, exchange) = (route.queue.name().into(), route.exchange.name().into());
        let unbound = channel.queue_unbind(queue, exchange, route.routing_key.into(), FieldTable::default());
        unbound.await.expect("the queue can be unbound");
    }
}

async fn publish(channel: &Channel, message: &PublishedMessage) {
    let mut headers = message.properties.headers().clone().unwrap_or_default();
    headers.insert(COPY.into(), AMQPValue::Boolean(true));
    let properties = message.properties.clone().with_headers(headers);
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let (exchange, routing_key) = (message.exchange.clone(), message.routing_key.clone());
    let sent = channel.basic_publish(exchange, routing_key, options, &message.body, properties).await;
    sent.expect("it can be sent");
}

fn is_copy(delivery: &Delivery) -> bool {
    let headers = delivery.properties.headers().as_ref();
    headers.is_some_and(|headers| headers.inner().contains_key(COPY))
}
