//! What the order service knows about one order beyond what clients see: where it waits, since when, and until when.

use std::time::Duration;

use ::http::{Method, StatusCode};
use chassis::database::Connections;
use chassis::http::{self, Request, Response, Routes, route};
use chassis::{failed_messages, outbox};
use contracts::diagnosis::OrderDiagnosis;
use contracts::{OrderId, Problem, Word};

use crate::deadline;
use crate::store::diagnosis::{self, Known};

pub(crate) fn routes(connections: Connections, saga_timeout: Duration) -> Routes {
    Routes::new((connections, saga_timeout), [route(Method::GET, "/orders/{id}/diagnosis", diagnose)])
}

/// Always an answer: nothing is known of an order that has not come here yet, and that is one.
async fn diagnose(
    (connections, saga_timeout): (Connections, Duration),
    request: Request,
) -> Result<Response, Problem> {
    let id: OrderId = request.id("id")?;
    let Known { placed, deadline, is_cancelled_early } =
        diagnosis::known(&connections, id, saga_timeout, deadline::GAP).await?;
    let (order, cause) = placed.map(|placed| (placed.order, placed.cause)).unzip();
    let cause = cause.unwrap_or_default();
    let diagnosis = OrderDiagnosis::<Word, Word, Word> {
        order,
        correlation_id: cause.correlation_id,
        trace_id: cause.trace.trace_id(),
        is_cancelled_early,
        deadline,
        outbox: outbox::of_order(connections.pool(), id).await?,
        failed_messages: failed_messages::of_order(connections.pool(), id).await?,
    };
    Ok(http::json(StatusCode::OK, &diagnosis))
}
