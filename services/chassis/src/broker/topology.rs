//! Exchanges, queues and bindings on the broker, from the tables in `contracts::topology`.
//!
//! A service declares what it consumes and what its own events are routed to, so that nothing it publishes is
//! unroutable, whichever service starts first. Beside the NestJS services, whose queues have other arguments, it declares
//! what it consumes alone, and takes such a queue as it is (docs/MIGRATION.md).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use contracts::topology::{Exchange, Queue, Service};
use lapin::options::ExchangeDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{Connection, ErrorKind, ExchangeKind};
use strum::VariantArray;
use thiserror::Error;
use tracing::warn;

use super::config::TopologyMode;
use super::declaration::{Declaration, QueueType};

/// Why the topology is not as the contract wants it.
#[derive(Debug, Error)]
pub(super) enum TopologyError {
    /// A queue of ours exists with other arguments; most often a classic queue that a NestJS service left behind.
    #[error(
        "queue {0} exists already with other arguments than paysaga's (quorum, dead-lettering at least once). \
         BROKER_TOPOLOGY=own takes it as it is; `paysaga convert-queues` makes it a quorum queue and loses nothing"
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
    /// The certificate that is to be shown to the broker can't be used.
    #[error("TLS_CERTIFICATE_FILE: {0}")]
    Identity(String),
    /// Anything else, the connection's loss above all.
    #[error(transparent)]
    Broker(#[from] lapin::Error),
}

/// Makes or checks what `service` consumes and, unless that is others' to do, what it publishes to.
pub(super) async fn establish(
    connection: &Connection,
    service: Service,
    mode: TopologyMode,
) -> Result<(), TopologyError> {
    let declare = mode != TopologyMode::Verify;
    establish_exchanges(connection, declare).await?;
    for &queue in Queue::VARIANTS {
        let own = queue.consumer() == service;
        let published_to =
            queue.is_published_to_by(service) && (mode != TopologyMode::Own || !queue.is_known_to_nestjs());
        if !own && !published_to {
            continue;
        }
        for declaration in Declaration::of(queue, QueueType::Quorum) {
            let established = if declare {
                declaration.make(connection).await
            } else {
                declaration.check(connection).await
            };
            match established {
                // Either another service consumes it, and decides about its arguments, or it is to be used as it is.
                Err(TopologyError::Inequivalent(name)) if !own || mode == TopologyMode::Own => {
                    warn_once(name);
                }
                established => established?,
            }
            if declare {
                declaration.bind(connection).await?;
            }
        }
    }
    Ok(())
}

/// Reports a queue that is used with other arguments, once in the life of the process: every connection finds it again.
fn warn_once(queue: &'static str) {
    static REPORTED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    if REPORTED.lock().unwrap_or_else(PoisonError::into_inner).insert(queue) {
        warn!(queue, "the queue has other arguments than paysaga's; it is used as it is");
    }
}

/// Makes or checks the exchanges.
pub(super) async fn establish_exchanges(connection: &Connection, declare: bool) -> Result<(), TopologyError> {
    let options = ExchangeDeclareOptions { durable: true, passive: !declare, ..Default::default() };
    for exchange in Exchange::VARIANTS {
        // A refused declaration closes its channel, so each gets one of its own.
        let channel = connection.create_channel().await?;
        channel
            .exchange_declare(exchange.name().into(), ExchangeKind::Topic, options, FieldTable::default())
            .await
            .map_err(|error| refusal(exchange.name(), error))?;
        channel.close(200, "done".into()).await?;
    }
    Ok(())
}

pub(super) fn refusal(name: &'static str, error: lapin::Error) -> TopologyError {
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
