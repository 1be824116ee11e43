//! Who publishes what: a message is believed only if it comes from the service whose event it is.
//!
//! RabbitMQ vouches for it: it takes a message with `user_id` only from the connection of that user
//! (<https://www.rabbitmq.com/docs/validated-user-id>). The property goes with the message into its dead-letter queue, is stored
//! with the failed message, and is judged again when that is replayed.

use std::sync::Arc;

use contracts::EventType;
use contracts::topology::Service;
use thiserror::Error;

/// A message does not come from the service whose event it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Forged {
    /// It does not say who published it.
    #[error("{event_type} has no user_id; it is {expected}'s to publish")]
    Unsigned { event_type: EventType, expected: String },
    /// Another user published it.
    #[error("{event_type} was published by {found}; it is {expected}'s to publish")]
    Foreign { event_type: EventType, found: String, expected: String },
}

/// What a failed message has for its publisher that was stored before publishers were verified.
pub(crate) const NOT_VERIFIED: &str = "*";

/// The RabbitMQ users that the services publish as. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Publishers(Option<Arc<str>>);

impl Publishers {
    /// The others are named as this service's own user, with their name in place of its own: `paysaga-order`,
    /// `paysaga-payment`. A user whose name does not end with the service's is one for all of them, and proves nothing.
    pub(super) fn named_like(own_user: &str, service: Service) -> Self {
        Self(own_user.strip_suffix(service.name()).map(Into::into))
    }

    /// Believes every message.
    pub(crate) const fn unverified() -> Self {
        Self(None)
    }

    /// Judges an event by the user who published it.
    pub(crate) fn verify(&self, event_type: EventType, user: Option<&str>) -> Result<(), Forged> {
        let Self(Some(prefix)) = self else { return Ok(()) };
        let expected = || format!("{prefix}{}", event_type.route().publisher);
        match user {
            Some(NOT_VERIFIED) => Ok(()),
            Some(user) if user == expected() => Ok(()),
            Some(user) => Err(Forged::Foreign { event_type, found: user.to_owned(), expected: expected() }),
            None => Err(Forged::Unsigned { event_type, expected: expected() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_believed_from_its_own_service_alone() {
        let publishers = Publishers::named_like("shop-order", Service::Order);
        let approved = |user| publishers.verify(EventType::PaymentApproved, user);
        assert_eq!(approved(Some("shop-payment")), Ok(()));
        for forger in ["shop-gateway", "shop-order", "payment", ""] {
            assert!(matches!(approved(Some(forger)), Err(Forged::Foreign { .. })), "{forger}");
        }
        assert!(matches!(approved(None), Err(Forged::Unsigned { .. })));
        assert_eq!(publishers.verify(EventType::OrderCancelRequested, Some("shop-gateway")), Ok(()));
    }

    #[test]
    fn one_user_for_all_proves_nothing() {
        let publishers = Publishers::named_like("guest", Service::Order);
        for user in [None, Some("guest"), Some("another")] {
            assert_eq!(publishers.verify(EventType::PaymentApproved, user), Ok(()));
        }
    }
}
