//! What the payment of one order waits for.

use chassis::database::{Connections, StoreError};
use contracts::diagnosis::NextProviderStep;
use contracts::{OrderId, OwnerFilter, Timestamp, Word, payment};
use sqlx::FromRow;

/// A payment, and what it waits for.
#[derive(FromRow)]
pub(crate) struct Waiting {
    #[sqlx(flatten)]
    pub(crate) payment: payment::Payment<Word>,
    pub(crate) cancel_requested: bool,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) refund_owed_since: Option<Timestamp>,
    pub(crate) refund_refusal: Option<String>,
    next_step: Option<Word>,
    step_reason: Option<Word>,
    due_at: Option<Timestamp>,
}

impl Waiting {
    /// What the provider is to be asked next.
    pub(crate) fn next_step(&self) -> Option<NextProviderStep> {
        let (step, due_at) = (self.next_step.clone()?, self.due_at?);
        Some(NextProviderStep { step, reason: self.step_reason.clone(), due_at })
    }
}

/// The payment of an order, if it has been opened.
pub(crate) async fn waiting(
    connections: &Connections,
    order: OrderId,
) -> Result<Option<Waiting>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let waiting = sqlx::query_as::<_, Waiting>(
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at, owner,
                cancel_requested, expires_at, refund_owed_since, refund_refusal, next_step, step_reason, due_at
         FROM payments WHERE order_id = $1",
    );
    let waiting = waiting.bind(order).fetch_optional(&mut *connection).await?;
    connection.keep();
    Ok(waiting)
}

/// Whether the order's cancellation was here before the order.
pub(crate) async fn is_cancelled_early(
    connections: &Connections,
    order: OrderId,
) -> Result<bool, StoreError> {
    let early =
        sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM early_cancellations WHERE order_id = $1)");
    Ok(early.bind(order).fetch_one(connections.pool()).await?)
}
