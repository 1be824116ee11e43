//! A hand in everything that is said on the broker: it keeps it, says it again, or brings it out of order.

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

/// Marks what did not come from a service.
const COPY: &str = "x-fault-suite-copy";

/// Longest time for which [`Habit::Shuffle`] holds a message.
const HOLD: Duration = Duration::from_secs(2);

/// What is done with each message that a service says.
#[derive(Clone, Copy, Debug)]
pub enum Habit {
    /// It is kept.
    Keep,
    /// It is kept, and said so many more times.
    Repeat(u32),
    /// It comes to its queue after a time of its own, up to two seconds, and sometimes twice.
    Shuffle,
}

/// A message as it was said.
#[derive(Clone, Debug)]
pub struct Said {
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    body: Vec<u8>,
}

/// The hand. It lets go when it is dropped.
pub struct Wire {
    channel: Channel,
    heard: Arc<Mutex<Vec<Said>>>,
    pending: Arc<AtomicU64>,
    last: Arc<Mutex<Instant>>,
    _task: JoinSet<()>,
    _connection: Connection,
}

impl Wire {
    /// Begins to listen. With [`Habit::Shuffle`] nothing reaches the services' queues any more but through here.
    pub async fn start(url: &str, habit: Habit, seed: u64) -> Self {
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel can be opened");
        let deliveries = listen(&channel).await;
        if matches!(habit, Habit::Shuffle) {
            unbind_everything(&channel).await;
        }
        let heard = Arc::new(Mutex::new(Vec::new()));
        let pending = Arc::new(AtomicU64::new(0));
        let last = Arc::new(Mutex::new(Instant::now()));
        let hand = Hand {
            channel: channel.clone(),
            habit,
            random: StdRng::seed_from_u64(seed),
            held: JoinSet::new(),
            heard: Arc::clone(&heard),
            pending: Arc::clone(&pending),
            last: Arc::clone(&last),
        };
        let mut task = JoinSet::new();
        task.spawn(hand.work(deliveries));
        Self { channel, heard, pending, last, _task: task, _connection: connection }
    }

    /// Waits until nothing was said for a while and nothing is held back.
    pub async fn quiet(&self) {
        eventually("nothing is said any more", async || {
            let (pending, silent) = (self.pending.load(Ordering::SeqCst), self.last().elapsed());
            if pending == 0 && silent > Duration::from_secs(2) {
                Ok(())
            } else {
                Err(format!("{pending} are held"))
            }
        })
        .await;
    }

    /// Everything that the services said, in its order.
    #[must_use]
    pub fn history(&self) -> Vec<Said> {
        self.heard.lock().expect("nobody panics with it").clone()
    }

    /// Says messages again, in this order.
    pub async fn say_again(&self, messages: &[Said]) {
        for said in messages {
            publish(&self.channel, &said.exchange, &said.routing_key, said).await;
        }
    }

    fn last(&self) -> Instant {
        *self.last.lock().expect("nobody panics with it")
    }
}

struct Hand {
    channel: Channel,
    habit: Habit,
    random: StdRng,
    held: JoinSet<()>,
    heard: Arc<Mutex<Vec<Said>>>,
    pending: Arc<AtomicU64>,
    last: Arc<Mutex<Instant>>,
}

impl Hand {
    async fn work(mut self, mut deliveries: Consumer) {
        while let Some(Ok(delivery)) = deliveries.next().await {
            if is_copy(&delivery) {
                continue;
            }
            *self.last.lock().expect("nobody panics with it") = Instant::now();
            let said = Said {
                exchange: delivery.exchange,
                routing_key: delivery.routing_key,
                properties: delivery.properties,
                body: delivery.data,
            };
            self.heard.lock().expect("nobody panics with it").push(said.clone());
            match self.habit {
                Habit::Keep => {}
                Habit::Repeat(times) => {
                    for _ in 0..times {
                        publish(&self.channel, &said.exchange, &said.routing_key, &said).await;
                    }
                }
                Habit::Shuffle => {
                    let copies = 1 + u32::from(self.random.random_bool(0.2));
                    (0..copies).for_each(|_| self.hold(said.clone()));
                }
            }
        }
    }

    /// Brings a message to its queue later.
    fn hold(&mut self, said: Said) {
        let time = self.random.random_range(Duration::ZERO..HOLD);
        let (channel, pending) = (self.channel.clone(), Arc::clone(&self.pending));
        pending.fetch_add(1, Ordering::SeqCst);
        while self.held.try_join_next().is_some() {}
        self.held.spawn(async move {
            tokio::time::sleep(time).await;
            let route = ROUTES.iter().find(|route| route.routing_key == said.routing_key.as_str());
            let queue = route.expect("every message has a route").queue.name();
            publish(&channel, &"".into(), &queue.into(), &said).await;
            pending.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn listen(channel: &Channel) -> Consumer {
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

/// Takes the services' queues off their exchanges. A service binds them again only when it connects anew.
async fn unbind_everything(channel: &Channel) {
    for route in ROUTES {
        let (queue, exchange) = (route.queue.name().into(), route.exchange.name().into());
        let unbound = channel.queue_unbind(queue, exchange, route.routing_key.into(), FieldTable::default());
        unbound.await.expect("the queue can be unbound");
    }
}

async fn publish(channel: &Channel, exchange: &ShortString, routing_key: &ShortString, said: &Said) {
    let mut headers = said.properties.headers().clone().unwrap_or_default();
    headers.insert(COPY.into(), AMQPValue::Boolean(true));
    let properties = said.properties.clone().with_headers(headers);
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent =
        channel.basic_publish(exchange.clone(), routing_key.clone(), options, &said.body, properties).await;
    sent.expect("it can be sent");
}

fn is_copy(delivery: &Delivery) -> bool {
    let headers = delivery.properties.headers().as_ref();
    headers.is_some_and(|headers| headers.inner().contains_key(COPY))
}
