//! What the gateway that compares and the services say to each other.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::BooksState;
use super::rows::{OrderRow, PaymentRow};
use crate::feed::EventCursor;
use crate::{OrderId, Timestamp};

/// Most orders of one request. Their ids fit into a body.
pub const MOST_ORDERS: u16 = 1000;

/// Body of `POST /books/orders` and `POST /books/payments`: orders whose records are wanted. By POST, since they don't fit into
/// a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedOrders {
    /// At most [`MOST_ORDERS`].
    pub orders: Vec<OrderId>,
}

/// Which records are wanted of all, in the order of the orders' ids (`?after&limit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsAfter {
    /// The order before the first.
    pub after: OrderId,
    /// Most records, 1 to [`MOST_ORDERS`].
    pub limit: u16,
}

impl RecordsAfter {
    /// Reads the parameters of a query. A limit out of range or not numeric is the largest.
    pub fn from_query<'a>(parameter: impl Fn(&str) -> Option<Cow<'a, str>>) -> Self {
        let after = parameter("after").and_then(|text| text.parse().ok());
        let limit = parameter("limit").and_then(|text| text.parse().ok());
        let limit = limit.filter(|limit| (1..=MOST_ORDERS).contains(limit)).unwrap_or(MOST_ORDERS);
        Self { after: after.unwrap_or_else(|| Uuid::nil().into()), limit }
    }
}

impl fmt::Display for RecordsAfter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "?after={}&limit={}", self.after, self.limit)
    }
}

/// The order service's records: those that were wanted, or the next by their ids (`GET /books/orders?after&limit`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderRows {
    /// In the order of their ids.
    pub orders: Vec<OrderRow>,
}

/// The payment service's records: those of the orders that were wanted, or the next by their orders' ids
/// (`GET /books/payments?after&limit`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRows {
    /// In the order of their orders' ids.
    pub payments: Vec<PaymentRow>,
    /// Whether the provider's books can be read: those of the simulator can.
    pub provider_known: bool,
}

/// `GET /books/changes?after`: which orders changed. Without `after`, none: only where the steps end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedOrders {
    /// Each once.
    pub orders: Vec<OrderId>,
    /// Behind the last step that was read.
    pub cursor: EventCursor,
    /// Whether there are more.
    pub more: bool,
    /// Which steps that is all of: those recorded and committed until then, by the database's clock. It stands still while a transaction in progress
    /// keeps those behind it from being read.
    pub read_at: Timestamp,
}

/// Body of `POST /books/lease`: takes the check on, if no other gateway has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRequest {
    /// Names the one who asks.
    pub holder: Uuid,
}

/// Body of `PUT /books`: stores the state, if the holder still has the lease, and prolongs that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreRequest<State = BooksState> {
    /// Who stores it.
    pub holder: Uuid,
    /// As it is now.
    pub state: State,
}

/// What the order service keeps: the answer to `GET /books`, `POST /books/lease` and `PUT /books`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptBooks<State = BooksState> {
    /// Whether the one who asks has the lease.
    pub is_holder: bool,
    /// An operator wants a full pass now.
    pub pass_wanted: bool,
    /// As it was stored last.
    pub state: State,
    /// The database's time.
    pub at: Timestamp,
}
