//! Identifiers. Each kind is a type of its own, so that an order id can't be passed where a payment id is meant.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

/// Namespace (RFC 9562 §6.6) of every id that paysaga derives instead of drawing at random.
const NAMESPACE: Uuid = Uuid::from_u128(0x6a1f_5d0e_3c2b_5f47_9b8e_7d6c_5a4b_3920);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as a plain UUID, for a driver or a header that knows no other type.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// Names an order, and with it the whole saga.
    OrderId
);
id!(
    /// Names a payment. It is the provider's idempotency key as well: one id, at most one charge.
    PaymentId
);
id!(
    /// Names the customer who placed an order.
    UserId
);
id!(
    /// Names one event. A message that is delivered, published or replayed again keeps its event id.
    EventId
);

/// An `Idempotency-Key` and the client that it belongs to: clients don't share keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey<'a> {
    /// The name of the client's API key.
    pub client: &'a str,
    /// The value of the header.
    pub key: &'a str,
}

impl IdempotencyKey<'_> {
    /// Both as one. The lengths keep ("ab", "c") and ("a", "bc") apart.
    fn joined(self) -> String {
        let Self { client, key } = self;
        format!("{}:{client}:{}:{key}", client.len(), key.len())
    }
}

/// What the ids of keyed orders are derived with, besides the keys: without it, those who guess a key can't tell the id. It
/// never shows in debug output.
#[derive(Clone)]
pub struct IdempotencySecret([u8; 64]);

impl From<[u8; 64]> for IdempotencySecret {
    fn from(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for IdempotencySecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdempotencySecret(…)")
    }
}

impl IdempotencySecret {
    /// The order that a key stands for (UUID version 8, of HMAC-SHA-256). The same key always gives the same order.
    #[must_use]
    pub fn order_of(&self, key: IdempotencyKey<'_>) -> OrderId {
        // The length of a block of SHA-256.
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(key.joined().as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        OrderId(Uuid::new_v8(bytes))
    }
}

impl OrderId {
    /// A new, time-ordered id (UUID version 7).
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The order that an idempotency key stood for before there was an [`IdempotencySecret`]. Keys of then still mean it.
    #[must_use]
    pub fn from_idempotency_key(key: IdempotencyKey<'_>) -> Self {
        Self(derive("idempotency-key", key.joined().as_bytes()))
    }

    /// The order that a `CreateOrderRequested` without `orderId` asks for (a NestJS gateway sends none): each
    /// redelivery of the same event gives the same order.
    #[must_use]
    pub fn from_create_event(event: EventId) -> Self {
        Self(derive("create-order-requested", event.0.as_bytes()))
    }
}

impl Default for OrderId {
    fn default() -> Self {
        Self::new()
    }
}

impl PaymentId {
    /// The one payment of an order. Derived, so that even a payment service that lost its database asks the provider
    /// under the key that it used before.
    #[must_use]
    pub fn of_order(order: OrderId) -> Self {
        Self(derive("payment", order.0.as_bytes()))
    }
}

impl EventId {
    /// A new, time-ordered id (UUID version 7).
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of the command that places an order under a client's `Idempotency-Key`: sent again, it is the same event.
    #[must_use]
    pub fn of_keyed_order(order: OrderId) -> Self {
        Self(derive("create-order-requested by key", order.0.as_bytes()))
    }

    /// The same for a command that cancels an order, of the id that the key has.
    #[must_use]
    pub fn of_keyed_cancellation(key: OrderId) -> Self {
        Self(derive("order-cancel-requested by key", key.0.as_bytes()))
    }
}

impl Default for EventId {
    fn default() -> Self {
        Self::new()
    }
}

fn derive(kind: &str, name: &[u8]) -> Uuid {
    Uuid::new_v5(&Uuid::new_v5(&NAMESPACE, kind.as_bytes()), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_key(client: &str, key: &str) -> OrderId {
        OrderId::from_idempotency_key(IdempotencyKey { client, key })
    }

    #[test]
    fn derived_ids_never_change() {
        let order: OrderId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        let event: EventId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        // Fixed: a release that derives another id would charge old orders again.
        assert_eq!(PaymentId::of_order(order).to_string(), "3c1d57c0-361a-5a62-9a36-0f103b0410c1");
        assert_eq!(OrderId::from_create_event(event).to_string(), "4f60bba9-7174-5e54-8d87-93fcb11ae6b9");
        assert_eq!(from_key("shop", "k1").to_string(), "b59d8a1e-04da-513c-b056-c7ba7d46741d");
        // printf 4:shop:2:k1 | openssl mac -digest SHA256 -macopt hexkey:0101… HMAC
        let secret = IdempotencySecret::from([1; 64]);
        let order = secret.order_of(IdempotencyKey { client: "shop", key: "k1" });
        assert_eq!(order.to_string(), "ce96d91d-9f2c-8de7-bb3a-668f6d2c717c");
    }

    #[test]
    fn client_and_key_are_not_run_together() {
        assert_ne!(from_key("ab", "c"), from_key("a", "bc"));
        assert_ne!(from_key("a:1", "c"), from_key("a", "1:c"));
    }
}
