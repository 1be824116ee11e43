//! Exchanges, queues and bindings on the broker, from the tables in `contracts::topology`.
//!
//! A service declares what it consumes and what its own events are routed to, so that nothing it publishes is
//! unroutable, whichever service starts first.

use contracts::topology::{Exchange, Queue, ROUTES, Service};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ErrorKind, ExchangeKind};
use strum::VariantArray;
use thiserror::Error;
use tracing::warn;

/// Redeliveries after which a message is taken for one that crashes its consumer, and dead-lettered. RabbitMQ 4 has
/// this limit by default, RabbitMQ 3 none; named explicitly, both behave alike.
const DELIVERY_LIMIT: u32 = 20;

/// The limit of dead-letter queues. RabbitMQ 4 would drop a message past its default one, and there is no value for
/// "none" that both generations accept.
const NO_DELIVERY_LIMIT: u32 = 1_000_000_000;

/// Why the topology is not as the contract wants it.
#[derive(Debug, Error)]
pub(super) enum TopologyError {
    /// A queue of ours exists with other arguments; most often a classic queue that a NestJS service left behind.
    #[error(
        "queue {0} exists already with other arguments than paysaga's (quorum, dead-lettering at least once). \
         Stop its publishers, let its consumer drain it, delete it (rabbitmqctl delete_queue {0}) and it will be \
         declared anew"
    )]
    Inequivalent(&'static str),
    /// The user may not declare.
    #[error(
        "this RabbitMQ user may not configure {0}. Give it the permission, or have an administrator declare the \
         topology and set BROKER_TOPOLOGY=verify"
    )]
    NotAllowed(&'static str),
    /// With `BROKER_TOPOLOGY=verify`: it should be there and isn't.
    #[error("{0} does not exist on the broker, and BROKER_TOPOLOGY=verify forbids to declare it")]
    Missing(&'static str),
    /// Anything else, the connection's loss above all.
    #[error(transparent)]
    Broker(#[from] lapin::Error),
}

/// Makes or checks everything that `service` consumes and publishes to.
pub(super) async fn establish(
    connection: &Connection,
    service: Service,
    declare: bool,
) -> Result<(), TopologyError> {
    for &exchange in Exchange::VARIANTS {
        establish_exchange(connection, exchange, declare).await?;
    }
    for &queue in Queue::VARIANTS {
        let own = queue.consumer() == service;
        let published_to = ROUTES.iter().any(|route| route.queue == queue && route.publisher == service);
        if !own && !published_to {
            continue;
        }
        match establish_queue(connection, queue, declare).await {
            // Another service consumes it, and decides about its arguments; all that matters here is that it takes messages.
            Err(TopologyError::Inequivalent(name)) if !own => {
                warn!(queue = name, "the queue of another service has other arguments than paysaga's");
            }
            established => established?,
        }
        if declare {
            bind_queue(connection, queue).await?;
        }
    }
    Ok(())
}

async fn establish_exchange(
    connection: &Connection,
    exchange: Exchange,
    declare: bool,
) -> Result<(), TopologyError> {
    let options = ExchangeDeclareOptions { durable: true, passive: !declare, ..Default::default() };
    // A refused declaration closes its channel, so each gets one of its own.
    let channel = connection.create_channel().await?;
    channel
        .exchange_declare(exchange.name().into(), ExchangeKind::Topic, options, FieldTable::default())
        .await
        .map_err(|error| refusal(exchange.name(), error))?;
    channel.close(200, "done".into()).await?;
    Ok(())
}

async fn establish_queue(connection: &Connection, queue: Queue, declare: bool) -> Result<(), TopologyError> {
    let dead_letters = [("x-delivery-limit", number(NO_DELIVERY_LIMIT))];
    declare_queue(connection, queue.dead_letter_queue(), &dead_letters, declare).await?;
    let work = [
        ("x-delivery-limit", number(DELIVERY_LIMIT)),
        ("x-dead-letter-exchange", text(Exchange::DeadLetters.name())),
        ("x-dead-letter-routing-key", text(queue.dead_letter_queue())),
        // The default strategy republishes without confirms and can lose the message; this one needs
        // reject-publish, or it silently falls back (rabbitmq.com/docs/quorum-queues#dead-lettering).
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    declare_queue(connection, queue.name(), &work, declare).await
}

async fn declare_queue(
    connection: &Connection,
    name: &'static str,
    arguments: &[(&'static str, AMQPValue)],
    declare: bool,
) -> Result<(), TopologyError> {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    for (key, value) in arguments {
        table.insert((*key).into(), value.clone());
    }
    let options = QueueDeclareOptions { passive: !declare, ..QueueDeclareOptions::durable() };
    let channel = connection.create_channel().await?;
    channel.queue_declare(name.into(), options, table).await.map_err(|error| refusal(name, error))?;
    channel.close(200, "done".into()).await?;
    Ok(())
}

async fn bind_queue(connection: &Connection, queue: Queue) -> Result<(), TopologyError> {
    let dead_letter_queue = queue.dead_letter_queue();
    let dead_letters = (dead_letter_queue, Exchange::DeadLetters, dead_letter_queue);
    let work = queue.routes().map(|route| (queue.name(), route.exchange, route.routing_key));
    let channel = connection.create_channel().await?;
    for (name, exchange, routing_key) in work.chain([dead_letters]) {
        channel
            .queue_bind(
                name.into(),
                exchange.name().into(),
                routing_key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(|error| refusal(name, error))?;
    }
    channel.close(200, "done".into()).await?;
    Ok(())
}

fn refusal(name: &'static str, error: lapin::Error) -> TopologyError {
    let ErrorKind::ProtocolError(amqp) = error.kind() else {
        return error.into();
    };
    match amqp.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => TopologyError::Inequivalent(name),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
        | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => TopologyError::NotAllowed(name),
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => TopologyError::Missing(name),
        _ => error.into(),
    }
}

fn text(value: &'static str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn number(value: u32) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}
