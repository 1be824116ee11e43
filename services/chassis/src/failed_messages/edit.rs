//! Another body for a failed message: one that its consumer can read, and the same event.

use contracts::problem::InvalidMember;
use contracts::topology::Queue;
use contracts::{EventId, Problem};
use strum::VariantArray;

use super::store::Original;
use super::subject::{Subject, event_id};
use crate::broker::Publishers;
use crate::consumer::decode;

/// Reads a body as the consumer of the original would; 400 that says what is wrong with it. Returns what it is about.
pub(super) fn check(original: &Original, body: &str, publishers: &Publishers) -> Result<Subject, Problem> {
    let invalid = |rule: String| Problem::invalid(vec![InvalidMember::new("body", rule)]);
    let Some(queue) = Queue::VARIANTS.iter().copied().find(|queue| queue.name() == original.queue) else {
        return Err(invalid(
            "this service no longer consumes the queue that the message failed on".to_owned(),
        ));
    };
    let envelope = decode(queue, publishers, original.user_id.as_deref(), body.as_bytes())
        .map_err(|unreadable| invalid(format!("is not what is read from {queue}: {unreadable}")))?;
    match original.event_id() {
        Some(event_id) if event_id != envelope.event_id => Err(invalid(format!(
            "must keep the eventId {event_id}: with another one it would be another event"
        ))),
        _ => Ok(Subject { order_id: Some(envelope.order_id()), ..Subject::of(body.as_bytes()) }),
    }
}

impl Original {
    /// The id of the event that the message is, as far as that can be known of it.
    fn event_id(&self) -> Option<EventId> {
        event_id(&self.body).or_else(|| self.message_id.as_ref()?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPROVED: &str = r#"{"eventType":"PaymentApproved","eventId":"0198c0de-0000-7000-8000-0000000000e1","occurredAt":"2026-01-02T03:04:05.678Z","payload":{"orderId":"0198c0de-0000-7000-8000-000000000001","transactionId":"t-1"}}"#;

    fn check_as(message_id: Option<&str>, original: &str, body: &str) -> Result<Subject, String> {
        let original = Original {
            queue: Queue::OrderPaymentResult.name().to_owned(),
            user_id: None,
            message_id: message_id.map(str::to_owned),
            body: original.as_bytes().to_vec(),
        };
        check(&original, body, &Publishers::unverified()).map_err(|problem| problem.errors[0].detail.clone())
    }

    #[test]
    fn a_body_must_be_one_that_the_consumer_reads() {
        let subject = check_as(None, "not json", APPROVED).unwrap();
        assert_eq!(subject.order_id, "0198c0de-0000-7000-8000-000000000001".parse().ok());
        for (body, rule) in [
            ("not json".to_owned(), "not an event envelope"),
            (APPROVED.replace("transactionId", "transaction"), "missing field `transactionId`"),
            (APPROVED.replace("PaymentApproved", "PaymentRefunded"), "does not belong on"),
            (APPROVED.replace("PaymentApproved", "PaymentExploded"), "unknown eventType `PaymentExploded`"),
        ] {
            let refused = check_as(None, "not json", &body).unwrap_err();
            assert!(refused.contains(rule), "{refused}");
        }
    }

    #[test]
    fn an_event_stays_the_event_that_it_is() {
        let other = "0198c0de-0000-7000-8000-0000000000e2";
        let broken = APPROVED.replace("t-1\"", "t-1\",");
        for (message_id, original) in [
            (Some(other), "not json".to_owned()),
            (None, APPROVED.replace("0000000000e1", "0000000000e2")),
            // Its consumer goes by what the body says.
            (Some("0198c0de-0000-7000-8000-0000000000e1"), APPROVED.replace("0000000000e1", "0000000000e2")),
        ] {
            let refused = check_as(message_id, &original, APPROVED).unwrap_err();
            assert!(refused.contains(&format!("must keep the eventId {other}")), "{refused}");
        }
        assert!(check_as(Some("0198c0de-0000-7000-8000-0000000000e1"), &broken, APPROVED).is_ok());
    }
}
