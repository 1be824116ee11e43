//! What a message is about, as far as its body says so. It failed, so it may say anything.

use std::collections::HashMap;

use contracts::{EventId, EventType, Money, OrderId};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The order that a message is about, and what that comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) order_id: Option<OrderId>,
    pub(super) amount: Option<Money>,
}

/// The members of a JSON object, unread.
struct Members(HashMap<String, Box<RawValue>>);

impl Members {
    fn of(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    /// The first of these members that can be read, be it as a text.
    fn get<T: DeserializeOwned + std::str::FromStr>(&self, names: &[&str]) -> Option<T> {
        let values = names.iter().filter_map(|name| self.0.get(*name));
        values.into_iter().find_map(|value| {
            let text = || serde_json::from_str::<String>(value.get()).ok()?.parse().ok();
            serde_json::from_str(value.get()).ok().or_else(text)
        })
    }
}

impl Subject {
    /// Reads a body.
    pub(super) fn of(body: &[u8]) -> Self {
        let Some(envelope) = Members::of(body) else { return Self::default() };
        let payload = envelope.0.get("payload").and_then(|payload| Members::of(payload.get().as_bytes()));
        let payload = payload.as_ref().unwrap_or(&envelope);
        // Where a NestJS gateway names no order, its event does.
        let named_by_event = || {
            let event_type: Option<EventType> = envelope.get::<String>(&["eventType"])?.parse().ok();
            let event_id: EventId = envelope.get(&["eventId"])?;
            (event_type == Some(EventType::CreateOrderRequested))
                .then(|| OrderId::from_create_event(event_id))
        };
        Self {
            order_id: payload.get(&["orderId", "id"]).or_else(named_by_event),
            amount: payload.get(&["total", "amount"]),
        }
    }
}

/// The id of the event that a message has, as far as its body says so.
pub(super) fn event_id(body: &[u8]) -> Option<EventId> {
    Members::of(body)?.get(&["eventId"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_of_a_broken_body_is() {
        let id = "0198c0de-0000-7000-8000-000000000001";
        let order_id = id.parse().ok();
        let amount = "10.01".parse().ok();
        for (body, subject) in [
            (format!(r#"{{"payload":{{"orderId":"{id}","total":10.01}}}}"#), Subject { order_id, amount }),
            (format!(r#"{{"payload":{{"id":"{id}","amount":"10.01"}}}}"#), Subject { order_id, amount }),
            (format!(r#"{{"orderId":"{id}","total":[]}}"#), Subject { order_id, amount: None }),
            (r#"{"payload":{"orderId":7,"total":10.010}}"#.to_owned(), Subject { order_id: None, amount }),
            (r#"{"payload":{"total":-1}}"#.to_owned(), Subject::default()),
            ("[]".to_owned(), Subject::default()),
            ("not json".to_owned(), Subject::default()),
        ] {
            assert_eq!(Subject::of(body.as_bytes()), subject, "{body}");
        }
    }

    #[test]
    fn an_order_that_a_nestjs_gateway_did_not_name_is_the_one_that_its_event_means() {
        let event: EventId = "0198c0de-0000-7000-8000-0000000000e1".parse().unwrap();
        let body =
            format!(r#"{{"eventType":"CreateOrderRequested","eventId":"{event}","payload":{{"total":1}}}}"#);
        assert_eq!(Subject::of(body.as_bytes()).order_id, Some(OrderId::from_create_event(event)));
        assert_eq!(event_id(body.as_bytes()), Some(event));
    }
}
