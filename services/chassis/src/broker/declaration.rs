//! A queue with its arguments and bindings: as paysaga declares it, or as the NestJS services do that it replaces.

use contracts::topology::{Argument, Arguments, Exchange, Queue};
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};

use super::topology::{TopologyError, refusal};

/// How a queue keeps its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueType {
    /// On a majority of the nodes, and dead-letters at least once: paysaga's own.
    Quorum,
    /// On one node, and may lose a message that it dead-letters: that of the NestJS services.
    Classic,
}

/// A queue, its arguments and its bindings.
pub(super) struct Declaration {
    /// The queue's name.
    pub(super) name: &'static str,
    arguments: FieldTable,
    /// Exchanges and routing keys.
    bindings: Vec<(Exchange, &'static str)>,
}

impl Declaration {
    /// The dead-letter queue of a queue, and the queue itself.
    pub(super) fn of(queue: Queue, queue_type: QueueType) -> [Self; 2] {
        let dead_letter_queue = queue.dead_letter_queue();
        let (work, dead_letters) = match queue_type {
            QueueType::Quorum => (queue.arguments(), Queue::dead_letter_arguments()),
            QueueType::Classic => (queue.classic_arguments(), Vec::new()),
        };
        let routes = queue.routes().map(|route| (route.exchange, route.routing_key)).collect();
        [
            Self {
                name: dead_letter_queue,
                arguments: table(dead_letters),
                bindings: vec![(Exchange::DeadLetters, dead_letter_queue)],
            },
            Self { name: queue.name(), arguments: table(work), bindings: routes },
        ]
    }

    /// Declares the queue.
    pub(super) async fn make(&self, connection: &Connection) -> Result<(), TopologyError> {
        self.declare(connection, QueueDeclareOptions::durable()).await
    }

    /// Looks whether there is a queue of that name, whatever its arguments.
    pub(super) async fn check(&self, connection: &Connection) -> Result<(), TopologyError> {
        self.declare(connection, QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() })
            .await
    }

    async fn declare(
        &self,
        connection: &Connection,
        options: QueueDeclareOptions,
    ) -> Result<(), TopologyError> {
        // A refused declaration closes its channel, so each gets one of its own.
        let channel = connection.create_channel().await?;
        channel
            .queue_declare(self.name.into(), options, self.arguments.clone())
            .await
            .map_err(|error| refusal(self.name, error))?;
        channel.close(200, "done".into()).await?;
        Ok(())
    }

    /// Binds the queue.
    pub(super) async fn bind(&self, connection: &Connection) -> Result<(), TopologyError> {
        let channel = connection.create_channel().await?;
        self.route_to(&channel, self.name).await.map_err(|error| refusal(self.name, error))?;
        channel.close(200, "done".into()).await?;
        Ok(())
    }

    /// Routes the queue's messages to the queue `name`.
    pub(super) async fn route_to(&self, channel: &Channel, name: &str) -> lapin::Result<()> {
        for (exchange, routing_key) in &self.bindings {
            let (exchange, routing_key) = (exchange.name().into(), (*routing_key).into());
            let options = QueueBindOptions::default();
            channel.queue_bind(name.into(), exchange, routing_key, options, FieldTable::default()).await?;
        }
        Ok(())
    }

    /// Routes the queue's messages to the queue `name` no longer.
    pub(super) async fn unroute_from(&self, channel: &Channel, name: &str) -> lapin::Result<()> {
        for (exchange, routing_key) in &self.bindings {
            let (exchange, routing_key) = (exchange.name().into(), (*routing_key).into());
            channel.queue_unbind(name.into(), exchange, routing_key, FieldTable::default()).await?;
        }
        Ok(())
    }
}

fn table(arguments: Arguments) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, argument) in arguments {
        let value = match argument {
            Argument::Text(text) => AMQPValue::LongString(text.into()),
            Argument::Number(number) => AMQPValue::LongLongInt(number.into()),
        };
        table.insert(name.into(), value);
    }
    table
}
