//! HTTP bodies about orders.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::money::number_text;
use crate::problem::InvalidMember;
use crate::{CancelReason, EventId, EventType, Money, OrderId, OrderStatus, Owner, Timestamp, UserId};

/// An order as clients see it. A service passes `Word`s on that it does not know itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Order<Status = OrderStatus, Reason = CancelReason> {
    /// The order's id.
    pub id: OrderId,
    /// Who ordered.
    pub user_id: UserId,
    /// What is or was to be paid.
    pub total: Money,
    /// Where the order stands.
    pub status: Status,
    /// Why it was cancelled; absent while it isn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<Reason>,
    /// When the order service wrote the order down.
    pub created_at: Timestamp,
    /// When the status last changed.
    pub updated_at: Timestamp,
    /// Whose it is; absent where a NestJS service answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// Body of `POST /api/orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "camelCase")]
pub struct CreateOrder {
    /// Who orders.
    pub user_id: UserId,
    /// What is to be paid.
    pub total: Money,
}

impl CreateOrder {
    /// Reads and checks a request body. The error names every wrong, missing and unknown member at once.
    pub fn from_json(body: &[u8]) -> Result<Self, Vec<InvalidMember>> {
        let mut members = object(body)?;
        let mut errors = Vec::new();
        let uuid = "must be a UUID";
        let user_id = take(&mut members, "userId", &mut errors, uuid, |json| {
            serde_json::from_str(json.get()).map_err(|_| uuid.to_owned())
        });
        let amount = "must be a number greater than 0 with at most 2 decimals";
        let total = take(&mut members, "total", &mut errors, amount, |json| {
            number_text(json).and_then(str::parse).map_err(|error| error.to_string())
        });
        reject_unknown(&members, "userId, total", &mut errors);
        match (user_id, total) {
            (Some(user_id), Some(total)) if errors.is_empty() => Ok(Self { user_id, total }),
            _ => Err(errors),
        }
    }
}

/// Body of `PATCH /api/orders/{id}`: the only change a client can ask for is `{"status":"CANCELLED"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelOrder;

impl CancelOrder {
    /// Reads and checks a request body. The error names every wrong, missing and unknown member at once.
    pub fn from_json(body: &[u8]) -> Result<Self, Vec<InvalidMember>> {
        let mut members = object(body)?;
        let mut errors = Vec::new();
        let rule = "must be \"CANCELLED\"";
        take(&mut members, "status", &mut errors, rule, |json| match serde_json::from_str(json.get()) {
            Ok(OrderStatus::Cancelled) => Ok(()),
            _ => Err(rule.to_owned()),
        });
        reject_unknown(&members, "status", &mut errors);
        if errors.is_empty() { Ok(Self) } else { Err(errors) }
    }
}

/// The members of a JSON object, each as it was written.
type Members = BTreeMap<String, Box<RawValue>>;

fn object(body: &[u8]) -> Result<Members, Vec<InvalidMember>> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = match error.classify() {
            Category::Data => "the body must be a JSON object".to_owned(),
            _ => format!("the body is not valid JSON: {error}"),
        };
        vec![InvalidMember::new("", detail)]
    })
}

/// Takes a member out; what `read` can't make sense of, or is missing, is noted with the `rule` that it breaks.
fn take<T>(
    members: &mut Members,
    name: &str,
    errors: &mut Vec<InvalidMember>,
    rule: &str,
    read: impl FnOnce(&RawValue) -> Result<T, String>,
) -> Option<T> {
    let detail = match members.remove(name).map(|json| read(&json)) {
        Some(Ok(value)) => return Some(value),
        Some(Err(reason)) => reason,
        None => format!("is missing; it {rule}"),
    };
    errors.push(InvalidMember::new(name, detail));
    None
}

fn reject_unknown(members: &Members, known: &str, errors: &mut Vec<InvalidMember>) {
    for name in members.keys() {
        errors.push(InvalidMember::new(name, format!("is not a known member; known are: {known}")));
    }
}

/// Answer to an order that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateOrderAccepted {
    /// Under which id the order can be asked for.
    pub order_id: OrderId,
    /// For people.
    pub message: String,
    /// Always `PENDING_PAYMENT`.
    pub status: OrderStatus,
}

impl From<OrderId> for CreateOrderAccepted {
    fn from(order_id: OrderId) -> Self {
        Self {
            order_id,
            message: "Order creation request accepted".to_owned(),
            status: OrderStatus::PendingPayment,
        }
    }
}

/// Answer to a cancellation that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CancelOrderAccepted {
    /// Which order.
    pub order_id: OrderId,
    /// For people.
    pub message: String,
}

impl From<OrderId> for CancelOrderAccepted {
    fn from(order_id: OrderId) -> Self {
        Self { order_id, message: "Order cancellation request accepted".to_owned() }
    }
}

/// One step of an order's saga.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry<Type = EventType, Status = OrderStatus> {
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub event_type: Type,
    /// When it happened, by the clock of the service that published it.
    pub occurred_at: Timestamp,
    /// When the order service wrote it down.
    pub recorded_at: Timestamp,
    /// What the order's status was after it.
    pub status: Option<Status>,
    /// The event's payload.
    pub payload: Value,
}

/// `GET /orders/{id}/events`, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Timeline<Entry = TimelineEntry> {
    /// Which order.
    pub order_id: OrderId,
    /// Its steps, oldest first.
    pub events: Vec<Entry>,
}

/// `PUT /idempotency-keys` between gateway and order service: what a client uses a key for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdempotencyClaim {
    /// Whose key it is.
    pub owner: Owner,
    /// The value of the header.
    pub key: String,
    /// SHA-256 of the request that the key stands for, in hexadecimal.
    pub fingerprint: String,
}

/// Answer to an [`IdempotencyClaim`]: what the key stands for, and what became of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotencyClaimed {
    /// The order that is placed under the key. A key of another command has an id as well, which is no order's.
    pub order_id: OrderId,
    /// Whether the key stood for this request before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_repeated: bool,
    /// Where the order was placed, as `traceparent` (W3C Trace Context), if it is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_at: Option<String>,
    /// Whether the request is being executed, and has no answer yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_in_progress: bool,
    /// The first answer to the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<StoredAnswer>,
}

/// `PUT /idempotency-keys/{id}/answer` between gateway and order service: the first answer to a request, which each duplicate of it
/// gets again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
pub struct StoredAnswer {
    /// Its status.
    #[cfg_attr(feature = "postgres", sqlx(try_from = "i32"))]
    pub status: u16,
    /// Its body, where that does not follow from the status and the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(body: &str) -> Vec<(String, String)> {
        let invalid = CreateOrder::from_json(body.as_bytes()).unwrap_err();
        invalid.into_iter().map(|e| (e.member, e.detail)).collect()
    }

    #[test]
    fn a_valid_order_is_read() {
        let order =
            CreateOrder::from_json(br#"{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":999.99}"#)
                .unwrap();
        assert_eq!(order.total.to_string(), "999.99");
    }

    #[test]
    fn every_wrong_member_is_named_at_once() {
        let found = errors(r#"{"userId":"me","total":"12","status":"PAID"}"#);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["userId", "total", "status"]);
        assert_eq!(found[0].1, "must be a UUID");
        assert_eq!(found[1].1, "must be a number");
        assert_eq!(found[2].1, "is not a known member; known are: userId, total");
    }

    #[test]
    fn missing_members_are_named_with_what_they_must_be() {
        let found = errors("{}");
        assert_eq!(found[0], ("userId".into(), "is missing; it must be a UUID".into()));
        assert!(found[1].1.starts_with("is missing; it must be a number"));
    }

    #[test]
    fn what_is_not_an_object_is_refused_as_a_whole() {
        for body in ["", "[]", "null", "{", "\"x\"", "{\"total\":1,}"] {
            let found = errors(body);
            assert_eq!(found.len(), 1, "{body}");
            assert_eq!(found[0].0, "", "{body}");
        }
    }

    #[test]
    fn only_cancelled_can_be_asked_for() {
        assert!(CancelOrder::from_json(br#"{"status":"CANCELLED"}"#).is_ok());
        for body in [r#"{"status":"PAID"}"#, r#"{"status":7}"#, "{}", r#"{"status":"CANCELLED","total":1}"#] {
            assert!(CancelOrder::from_json(body.as_bytes()).is_err(), "{body}");
        }
    }
}
