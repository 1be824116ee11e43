//! Exchanges, queues and routes as data. The gateway and the services publish and consume by these tables, the broker
//! connection declares them, and the documentation and the tests are checked against them.

use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::EventType;

/// One of the three services. Its name is also its program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Service {
    /// Turns HTTP commands into events.
    Gateway,
    /// Owns the orders.
    Order,
    /// Owns the payments.
    Payment,
}

impl Service {
    /// The services that have a database and consume messages.
    pub const WITH_DATABASE: [Self; 2] = [Self::Order, Self::Payment];

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The events that it publishes.
    pub fn routes(self) -> impl Iterator<Item = &'static Route> {
        ROUTES.iter().filter(move |route| route.publisher == self)
    }

    /// The queues that it consumes.
    pub fn queues(self) -> impl Iterator<Item = Queue> {
        Queue::VARIANTS.iter().copied().filter(move |queue| queue.consumer() == self)
    }
}

/// A durable topic exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
pub enum Exchange {
    /// Commands to and events of orders.
    #[strum(serialize = "orders.exchange")]
    Orders,
    /// Events of payments.
    #[strum(serialize = "payments.exchange")]
    Payments,
    /// Where rejected messages go, by the name of their dead-letter queue.
    #[strum(serialize = "dlx.exchange")]
    DeadLetters,
}

impl Exchange {
    /// The name on the broker.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The value of a queue's argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Argument {
    /// A name.
    Text(&'static str),
    /// A number.
    Number(u32),
}

/// The arguments that a queue is declared with.
pub type Arguments = Vec<(&'static str, Argument)>;

/// Redeliveries after which a message is taken for one that crashes its consumer, and dead-lettered. RabbitMQ 4 has
/// this limit by default, RabbitMQ 3 none; named explicitly, both behave alike.
const DELIVERY_LIMIT: u32 = 20;

/// The limit of dead-letter queues. RabbitMQ 4 would drop a message past its default one, and there is no value for
/// "none" that both generations accept.
const NO_DELIVERY_LIMIT: u32 = 1_000_000_000;

/// A durable quorum queue that one service consumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
pub enum Queue {
    /// Orders to be placed.
    #[strum(serialize = "order.create.queue")]
    OrderCreate,
    /// Orders to be cancelled.
    #[strum(serialize = "order.cancel-requested.queue")]
    OrderCancelRequested,
    /// What became of payments.
    #[strum(serialize = "order.payment-result.queue")]
    OrderPaymentResult,
    /// What the timeline shows beyond the results. A queue of its own, so that the results' queue carries only what a
    /// NestJS order service expects there.
    #[strum(serialize = "order.payment-timeline.queue")]
    OrderPaymentTimeline,
    /// Orders to be charged.
    #[strum(serialize = "payment.order-created.queue")]
    PaymentOrderCreated,
    /// Orders whose money must be given back or never be taken.
    #[strum(serialize = "payment.order-cancelled.queue")]
    PaymentOrderCancelled,
}

impl Queue {
    /// The name on the broker.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The queue that takes what this one rejects, and the routing key to it on [`Exchange::DeadLetters`].
    #[must_use]
    pub const fn dead_letter_queue(self) -> &'static str {
        match self {
            Self::OrderCreate => "order.create.dlq",
            Self::OrderCancelRequested => "order.cancel-requested.dlq",
            Self::OrderPaymentResult => "order.payment-result.dlq",
            Self::OrderPaymentTimeline => "order.payment-timeline.dlq",
            Self::PaymentOrderCreated => "payment.order-created.dlq",
            Self::PaymentOrderCancelled => "payment.order-cancelled.dlq",
        }
    }

    /// The arguments that the NestJS services, which paysaga replaces, declare it with: it is a classic queue then.
    #[must_use]
    pub fn classic_arguments(self) -> Arguments {
        vec![
            ("x-dead-letter-exchange", Argument::Text(Exchange::DeadLetters.name())),
            ("x-dead-letter-routing-key", Argument::Text(self.dead_letter_queue())),
        ]
    }

    /// The arguments that it is declared with.
    #[must_use]
    pub fn arguments(self) -> Arguments {
        let mut arguments = self.classic_arguments();
        arguments.extend([
            ("x-queue-type", Argument::Text("quorum")),
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
            // The default strategy republishes without confirms and can lose the message; this one needs
            // reject-publish, or it silently falls back (rabbitmq.com/docs/quorum-queues#dead-lettering).
            ("x-dead-letter-strategy", Argument::Text("at-least-once")),
            ("x-overflow", Argument::Text("reject-publish")),
        ]);
        arguments
    }

    /// The arguments that its dead-letter queue is declared with.
    #[must_use]
    pub fn dead_letter_arguments() -> Arguments {
        vec![
            ("x-queue-type", Argument::Text("quorum")),
            ("x-delivery-limit", Argument::Number(NO_DELIVERY_LIMIT)),
        ]
    }

    /// The service that consumes it.
    #[must_use]
    pub const fn consumer(self) -> Service {
        match self {
            Self::OrderCreate
            | Self::OrderCancelRequested
            | Self::OrderPaymentResult
            | Self::OrderPaymentTimeline => Service::Order,
            Self::PaymentOrderCreated | Self::PaymentOrderCancelled => Service::Payment,
        }
    }

    /// Whether the NestJS services that paysaga replaces have it too. Their service that consumes a queue declares it; a
    /// queue that they don't know is declared by none of them.
    #[must_use]
    pub const fn is_known_to_nestjs(self) -> bool {
        !matches!(self, Self::OrderPaymentTimeline)
    }

    /// Whether events of a service are routed to it.
    #[must_use]
    pub fn is_published_to_by(self, service: Service) -> bool {
        self.routes().any(|route| route.publisher == service)
    }

    /// The events that are routed to it.
    pub fn routes(self) -> impl Iterator<Item = &'static Route> {
        ROUTES.iter().filter(move |route| route.queue == self)
    }
}

/// The way of one event from its producer to the queue of its consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What travels.
    pub event_type: EventType,
    /// By which exchange.
    pub exchange: Exchange,
    /// Under which routing key.
    pub routing_key: &'static str,
    /// The service that publishes it.
    pub publisher: Service,
    /// The queue that it is routed to.
    pub queue: Queue,
}

/// Every route there is, one an event, in the order of the contract.
pub const ROUTES: [Route; 9] = [
    route(EventType::CreateOrderRequested, "order.create.requested", Service::Gateway, Queue::OrderCreate),
    route(
        EventType::OrderCancelRequested,
        "order.cancel.requested",
        Service::Gateway,
        Queue::OrderCancelRequested,
    ),
    route(EventType::OrderCreated, "order.created", Service::Order, Queue::PaymentOrderCreated),
    route(EventType::OrderCancelled, "order.cancelled", Service::Order, Queue::PaymentOrderCancelled),
    route(EventType::PaymentApproved, "payment.approved", Service::Payment, Queue::OrderPaymentResult),
    route(EventType::PaymentDeclined, "payment.declined", Service::Payment, Queue::OrderPaymentResult),
    route(EventType::PaymentFailed, "payment.failed", Service::Payment, Queue::OrderPaymentResult),
    route(EventType::PaymentCancelled, "payment.cancelled", Service::Payment, Queue::OrderPaymentTimeline),
    route(EventType::PaymentRefunded, "payment.refunded", Service::Payment, Queue::OrderPaymentTimeline),
];

const fn route(event_type: EventType, routing_key: &'static str, publisher: Service, queue: Queue) -> Route {
    let exchange = match publisher {
        Service::Gateway | Service::Order => Exchange::Orders,
        Service::Payment => Exchange::Payments,
    };
    Route { event_type, exchange, routing_key, publisher, queue }
}

impl EventType {
    /// The event's one route.
    #[must_use]
    pub const fn route(self) -> &'static Route {
        &ROUTES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_belongs_to_a_service_with_a_database() {
        assert!(Queue::VARIANTS.iter().all(|queue| Service::WITH_DATABASE.contains(&queue.consumer())));
    }

    #[test]
    fn every_event_has_its_own_route() {
        for &event_type in EventType::VARIANTS {
            assert_eq!(event_type.route().event_type, event_type);
        }
        assert_eq!(EventType::VARIANTS.len(), ROUTES.len());
    }

    #[test]
    fn every_queue_has_a_route_and_a_dead_letter_queue_of_its_own() {
        for &queue in Queue::VARIANTS {
            assert!(queue.routes().count() > 0, "no event is routed to {queue}");
            let expected = queue.name().replace(".queue", ".dlq");
            assert_eq!(queue.dead_letter_queue(), expected);
        }
    }
}
