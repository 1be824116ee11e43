//! What the payment service knows about one order beyond what clients see: where it waits, since when, and until when.

use ::http::{Method, StatusCode};
use chassis::database::Connections;
use chassis::http::{self, Request, Response, Routes, route};
use chassis::{failed_messages, outbox};
use contracts::diagnosis::PaymentDiagnosis;
use contracts::{OrderId, Problem, Word};

use crate::collection::ProviderCalls;
use crate::store::diagnosis::{self, Waiting};

pub(crate) fn routes(connections: Connections, calls: ProviderCalls) -> Routes {
    let state = (connections, calls);
    Routes::new(state, [route(Method::GET, "/payments/order/{orderId}/diagnosis", diagnose)])
}

/// Always an answer: nothing is known of an order that has not come here yet, and that is one.
async fn diagnose(
    (connections, calls): (Connections, ProviderCalls),
    request: Request,
) -> Result<Response, Problem> {
    let order: OrderId = request.id("orderId")?;
    let waiting = diagnosis::waiting(&connections, order).await?;
    let known = PaymentDiagnosis::<Word, Word> {
        is_cancelled_early: diagnosis::is_cancelled_early(&connections, order).await?,
        is_breaker_open: calls.are_held_back(),
        outbox: outbox::of_order(connections.pool(), order).await?,
        failed_messages: failed_messages::of_order(connections.pool(), order).await?,
        ..PaymentDiagnosis::default()
    };
    Ok(http::json(StatusCode::OK, &waiting.map_or(known.clone(), |waiting| waiting.added_to(known))))
}

impl Waiting {
    fn added_to(self, known: PaymentDiagnosis<Word, Word>) -> PaymentDiagnosis<Word, Word> {
        PaymentDiagnosis {
            next_step: self.next_step(),
            is_cancel_requested: self.cancel_requested,
            expires_at: self.expires_at,
            refund_owed_since: self.refund_owed_since,
            refund_refusal: self.refund_refusal,
            payment: Some(self.payment),
            ..known
        }
    }
}
