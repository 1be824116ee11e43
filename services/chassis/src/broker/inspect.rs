//! How long the queues are.

use std::time::Duration;

use contracts::topology::Queue;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use strum::VariantArray;

use super::BrokerUrl;
use super::inspector::state_of;

/// How long the broker may take to answer everything.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How many messages wait in a queue. Those that a consumer holds are not counted (AMQP 0-9-1 does not report them).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub name: &'static str,
    /// Whether it is one of those that take rejected messages.
    pub is_dead_letters: bool,
    /// Messages that are ready to be delivered.
    pub messages: u32,
}

/// Counts the messages in every queue of paysaga's, dead letters included, through the first node that answers. The error names what is
/// wrong with each.
pub async fn queue_depths(url: &BrokerUrl) -> Result<Vec<QueueDepth>, String> {
    let look_in_time = |node| async {
        match tokio::time::timeout(TIMEOUT, look(node)).await {
            Ok(looked) => looked.map_err(|error| error.to_string()),
            Err(_) => Err("the broker does not answer".to_owned()),
        }
    };
    url.first_of_nodes(look_in_time).await
}

async fn look(node: AMQPUri) -> lapin::Result<Vec<QueueDepth>> {
    let properties = ConnectionProperties::default().with_connection_name("paysaga check".into());
    let connection = Connection::connect_uri(node, properties).await?;
    let mut depths = Vec::new();
    for &queue in Queue::VARIANTS {
        for (name, is_dead_letters) in [(queue.name(), false), (queue.dead_letter_queue(), true)] {
            // A queue that does not exist closes the channel it is asked on.
            let channel = connection.create_channel().await?;
            let messages = state_of(&channel, name).await?.messages;
            depths.push(QueueDepth { name, is_dead_letters, messages });
            channel.close(200, "done".into()).await?;
        }
    }
    connection.close(200, "done".into()).await?;
    Ok(depths)
}
