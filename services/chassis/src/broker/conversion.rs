//! Converts a queue between quorum and classic: it is deleted and declared anew, and nothing is lost.
//!
//! ```text
//! exchanges ──→ queue                  as it is; its consumer is stopped
//! exchanges ──→ parking queue          the queue gets nothing new
//!     queue ──→ parking queue          message by message, each confirmed before it is acknowledged
//!     queue deleted, declared anew
//! exchanges ──→ queue                  with the parking queue's messages moved behind
//! ```
//!
//! At each moment every routing key is bound to one of the two queues, so publishers need not know. Where a step overlaps
//! another, messages are in both: they may be delivered twice, and paysaga's services don't mind. It can be ended and
//! started again at any step.

use std::time::{Duration, Instant};

use contracts::topology::Queue;
use futures_util::future::try_join_all;
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use lapin::{Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use thiserror::Error;

use super::BrokerUrl;
use super::declaration::{Declaration, QueueType};
use super::topology::{TopologyError, establish_exchanges, refusal};

/// How often an empty queue is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Every routing key, on the exchange that only a conversion uses.
const EVERYTHING: &str = "#";

/// Why a queue was not converted. What was begun is completed by the next attempt.
#[derive(Debug, Error)]
pub enum ConversionError {
    /// The consumer has to be stopped.
    #[error("{0} is consumed; stop its service first, every replica of it")]
    Consumed(&'static str),
    /// A message could not be moved.
    #[error("a message of {0} could not be moved: the broker refused it")]
    Refused(String),
    /// No node of the broker could be reached.
    #[error("the broker can't be reached: {0}")]
    Unreachable(String),
    /// The broker does not do what it is asked.
    #[error("{0}")]
    Topology(String),
    /// Anything else, the connection's loss above all.
    #[error(transparent)]
    Broker(#[from] lapin::Error),
}

impl From<TopologyError> for ConversionError {
    fn from(error: TopologyError) -> Self {
        Self::Topology(error.to_string())
    }
}

/// What became of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Its name.
    pub name: &'static str,
    /// How many messages were moved to the new queue; `None` if the queue was as it should be already.
    pub moved: Option<u64>,
}

/// Converts queues and their dead-letter queues. A queue is deleted when nothing has come to it for `settle`: what a
/// consumer held when it was stopped comes back when the broker notices its end, and what was routed before the
/// bindings changed may still be on its way.
pub async fn convert_queues(
    url: &BrokerUrl,
    queues: &[Queue],
    queue_type: QueueType,
    settle: Duration,
) -> Result<Vec<Converted>, ConversionError> {
    let connection = connect(url).await?;
    establish_exchanges(&connection, true).await?;
    connection.close(200, "done".into()).await?;
    let declarations = queues.iter().flat_map(|&queue| Declaration::of(queue, queue_type));
    try_join_all(declarations.map(async |declaration| {
        // A connection each: they go on side by side, and what goes wrong with one leaves the others alone.
        let connection = connect(url).await?;
        let converted = convert(&connection, declaration, settle).await?;
        connection.close(200, "done".into()).await?;
        Ok(converted)
    }))
    .await
}

async fn connect(url: &BrokerUrl) -> Result<Connection, ConversionError> {
    url.first_of_nodes(connect_to).await.map_err(ConversionError::Unreachable)
}

async fn connect_to(node: AMQPUri) -> lapin::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name("paysaga convert-queues".into());
    Connection::connect_uri(node, properties).await
}

async fn convert(
    connection: &Connection,
    queue: Declaration,
    settle: Duration,
) -> Result<Converted, ConversionError> {
    let name = queue.name;
    // The exchange keeps the routing key of what is moved: it says what a message is.
    let parking = format!("{name}.converting");
    let begun = looked_up(connection, &parking).await?.is_some();
    match queue.make(connection).await {
        // Another attempt came as far as this.
        Ok(()) if begun => {}
        Ok(()) => {
            queue.bind(connection).await?;
            let channel = connection.create_channel().await?;
            channel.exchange_delete(parking.into(), ExchangeDeleteOptions::default()).await?;
            channel.close(200, "done".into()).await?;
            return Ok(Converted { name, moved: None });
        }
        Err(TopologyError::Inequivalent(_)) => {
            unless_consumed(connection, name).await?;
            let channel = confirming_channel(connection).await?;
            park(&channel, &queue, &parking).await?;
            move_all(&channel, name, &parking, settle).await?;
            unless_consumed(connection, name).await?;
            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
            channel.close(200, "done".into()).await?;
            queue.make(connection).await?;
        }
        Err(error) => return Err(error.into()),
    }
    queue.bind(connection).await?;
    // A channel remembers the type of a queue that it took messages from; RabbitMQ 3.10 closes the connection with
    // INTERNAL_ERROR when one publishes to a queue of the same name and another type.
    let channel = confirming_channel(connection).await?;
    bind(&channel, name, &parking).await?;
    queue.unroute_from(&channel, &parking).await?;
    unbind(&channel, &parking, &parking).await?;
    let moved = move_all(&channel, &parking, &parking, settle).await?;
    channel.queue_delete(parking.as_str().into(), QueueDeleteOptions::default()).await?;
    channel.exchange_delete(parking.into(), ExchangeDeleteOptions::default()).await?;
    channel.close(200, "done".into()).await?;
    Ok(Converted { name, moved: Some(moved) })
}

async fn confirming_channel(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Routes everything that goes to the queue to the parking queue, and then nothing to the queue.
async fn park(channel: &Channel, queue: &Declaration, parking: &str) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(parking.into(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(parking.into(), QueueDeclareOptions::durable(), arguments).await?;
    bind(channel, parking, parking).await?;
    queue.route_to(channel, parking).await?;
    unbind(channel, queue.name, parking).await?;
    queue.unroute_from(channel, queue.name).await
}

async fn bind(channel: &Channel, queue: &str, exchange: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    let table = FieldTable::default();
    channel.queue_bind(queue.into(), exchange.into(), EVERYTHING.into(), options, table).await
}

async fn unbind(channel: &Channel, queue: &str, exchange: &str) -> lapin::Result<()> {
    let table = FieldTable::default();
    channel.queue_unbind(queue.into(), exchange.into(), EVERYTHING.into(), table).await
}

/// Moves messages from a queue to an exchange until none has been there for `settle`; returns how many.
async fn move_all(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    settle: Duration,
) -> Result<u64, ConversionError> {
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let (mut moved, mut last) = (0, Instant::now());
    loop {
        let Some(BasicGetMessage { delivery, .. }) =
            channel.basic_get(queue.into(), BasicGetOptions::default()).await?
        else {
            if last.elapsed() >= settle {
                return Ok(moved);
            }
            tokio::time::sleep(INTERVAL).await;
            continue;
        };
        let (exchange, key) = (exchange.into(), delivery.routing_key.clone());
        let properties = delivery.properties.clone();
        let sent = channel.basic_publish(exchange, key, mandatory, &delivery.data, properties).await?;
        if sent.await? != Confirmation::Ack(None) {
            return Err(ConversionError::Refused(queue.to_owned()));
        }
        delivery.ack(BasicAckOptions::default()).await?;
        (moved, last) = (moved + 1, Instant::now());
    }
}

async fn unless_consumed(connection: &Connection, queue: &'static str) -> Result<(), ConversionError> {
    match looked_up(connection, queue).await? {
        Some(found) if found.consumer_count() > 0 => Err(ConversionError::Consumed(queue)),
        _ => Ok(()),
    }
}

/// A queue, if there is one.
async fn looked_up(connection: &Connection, name: &str) -> Result<Option<lapin::Queue>, ConversionError> {
    // A queue that does not exist closes the channel it is asked on.
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    match channel.queue_declare(name.into(), passive, FieldTable::default()).await {
        Ok(queue) => {
            channel.close(200, "done".into()).await?;
            Ok(Some(queue))
        }
        Err(error) if matches!(refusal("", error.clone()), TopologyError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
