//! What RabbitMQ is to have, as it imports it (<https://www.rabbitmq.com/docs/definitions>): exchanges, queues, bindings, and what
//! the user of each service may do there. A service may publish its own events and no others, and read its own queues and no
//! others; the topology is there, so that it need not make any.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use strum::VariantArray;

use crate::topology::{Argument, Arguments, Exchange, Queue, ROUTES, Service};

/// Definitions of a virtual host, without its users' passwords.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Definitions {
    vhosts: [VirtualHost; 1],
    permissions: Vec<Permission>,
    topic_permissions: Vec<TopicPermission>,
    exchanges: Vec<ExchangeDefinition>,
    queues: Vec<QueueDefinition>,
    bindings: Vec<Binding>,
    policies: [Policy; 1],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct VirtualHost {
    name: String,
}

/// What a user may do (<https://www.rabbitmq.com/docs/access-control#authorisation>), as regular expressions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Permission {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

/// Under which routing keys a user may publish to a topic exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct TopicPermission {
    user: String,
    vhost: String,
    exchange: &'static str,
    write: String,
    read: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ExchangeDefinition {
    name: &'static str,
    vhost: String,
    #[serde(rename = "type")]
    kind: &'static str,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: BTreeMap<&'static str, Argument>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct QueueDefinition {
    name: &'static str,
    vhost: String,
    durable: bool,
    auto_delete: bool,
    arguments: BTreeMap<&'static str, Argument>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Binding {
    source: &'static str,
    vhost: String,
    destination: &'static str,
    destination_type: &'static str,
    routing_key: &'static str,
    arguments: BTreeMap<&'static str, Argument>,
}

/// What holds for queues of a kind besides the arguments that they were declared with, and can be changed without declaring them
/// anew (<https://www.rabbitmq.com/docs/policies>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Policy {
    vhost: String,
    name: &'static str,
    pattern: String,
    #[serde(rename = "apply-to")]
    apply_to: &'static str,
    definition: Bound,
    priority: u32,
}

/// A queue that is full refuses messages: their senders keep them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Bound {
    max_length_bytes: u64,
    overflow: &'static str,
}

/// What a queue may hold: some hundred thousand orders, and a part of a disk.
const MOST_BYTES: u64 = 1 << 30;

/// Matches no name.
const NOTHING: &str = "^$";

impl Definitions {
    /// The definitions of a virtual host. `user_of` is the name of a service's user; it must end with the service's.
    #[must_use]
    pub fn new(vhost: &str, user_of: impl Fn(Service) -> String) -> Self {
        let services = || Service::VARIANTS.iter().copied();
        let queues = || Queue::VARIANTS.iter().copied();
        let permission = |service: Service| Permission {
            user: user_of(service),
            vhost: vhost.to_owned(),
            configure: NOTHING.to_owned(),
            write: one_of(exchanges_of(service).iter().copied()),
            read: one_of(service.queues().flat_map(|queue| [queue.name(), queue.dead_letter_queue()])),
        };
        let topic_permissions = |service: Service| {
            let user = user_of(service);
            exchanges_of(service).into_iter().map(move |exchange| TopicPermission {
                user: user.clone(),
                vhost: vhost.to_owned(),
                exchange,
                write: one_of(
                    service
                        .routes()
                        .filter(|route| route.exchange.name() == exchange)
                        .map(|route| route.routing_key),
                ),
                read: NOTHING.to_owned(),
            })
        };
        let queue = |name, arguments: Arguments| QueueDefinition {
            name,
            vhost: vhost.to_owned(),
            durable: true,
            auto_delete: false,
            arguments: arguments.into_iter().collect(),
        };
        let binding = |source: Exchange, destination, routing_key| Binding {
            source: source.name(),
            vhost: vhost.to_owned(),
            destination,
            destination_type: "queue",
            routing_key,
            arguments: BTreeMap::new(),
        };
        let dead_letters = queues().map(Queue::dead_letter_queue);
        Self {
            vhosts: [VirtualHost { name: vhost.to_owned() }],
            permissions: services().map(permission).collect(),
            topic_permissions: services().flat_map(topic_permissions).collect(),
            exchanges: Exchange::VARIANTS
                .iter()
                .map(|exchange| ExchangeDefinition {
                    name: exchange.name(),
                    vhost: vhost.to_owned(),
                    kind: "topic",
                    durable: true,
                    auto_delete: false,
                    internal: false,
                    arguments: BTreeMap::new(),
                })
                .collect(),
            queues: queues()
                .flat_map(|work| {
                    [
                        queue(work.name(), work.arguments()),
                        queue(work.dead_letter_queue(), Queue::dead_letter_arguments()),
                    ]
                })
                .collect(),
            bindings: ROUTES
                .iter()
                .map(|route| binding(route.exchange, route.queue.name(), route.routing_key))
                .chain(dead_letters.map(|name| binding(Exchange::DeadLetters, name, name)))
                .collect(),
            policies: [Policy {
                vhost: vhost.to_owned(),
                name: "paysaga",
                pattern: one_of(queues().flat_map(|queue| [queue.name(), queue.dead_letter_queue()])),
                apply_to: "queues",
                definition: Bound { max_length_bytes: MOST_BYTES, overflow: "reject-publish" },
                priority: 0,
            }],
        }
    }
}

/// The exchanges that a service publishes to.
fn exchanges_of(service: Service) -> BTreeSet<&'static str> {
    service.routes().map(|route| route.exchange.name()).collect()
}

/// Matches these names and no others.
fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| name.replace('.', "\\.")).collect();
    if names.is_empty() { NOTHING.to_owned() } else { format!("^({})$", names.join("|")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_publishes_its_own_events_and_reads_its_own_queues() {
        let definitions = Definitions::new("shop", |service| format!("shop-{service}"));
        let of = |user: &str| {
            let permission =
                definitions.permissions.iter().find(|permission| permission.user == user).unwrap();
            let topics = definitions.topic_permissions.iter().filter(|permission| permission.user == user);
            let topics: Vec<_> = topics.map(|topic| (topic.exchange, topic.write.as_str())).collect();
            (permission.configure.as_str(), permission.write.as_str(), permission.read.as_str(), topics)
        };
        assert_eq!(
            of("shop-gateway"),
            (
                "^$",
                r"^(orders\.exchange)$",
                "^$",
                vec![("orders.exchange", r"^(order\.create\.requested|order\.cancel\.requested)$")]
            )
        );
        let (configure, write, read, topics) = of("shop-payment");
        assert_eq!((configure, write), ("^$", r"^(payments\.exchange)$"));
        assert!(read.starts_with(r"^(payment\.order-created\.queue|payment\.order-created\.dlq|"), "{read}");
        assert!(!read.contains("|order"), "{read}");
        assert!(topics.len() == 1 && topics[0].1.starts_with(r"^(payment\.approved|"), "{topics:?}");
    }

    #[test]
    fn every_route_and_every_dead_letter_queue_is_bound() {
        let definitions = Definitions::new("shop", |service| service.to_string());
        assert_eq!(definitions.queues.len(), 2 * Queue::VARIANTS.len());
        assert_eq!(definitions.bindings.len(), ROUTES.len() + Queue::VARIANTS.len());
    }
}
