//! The table `early_cancellations`, which every service with an aggregate has: cancellations that overtook their orders.

use std::collections::HashMap;

use contracts::OrderId;
use sqlx::PgConnection;

use super::State;
use crate::database::StoreError;

/// What is known about each of `orders`: those that are not among the `known` ones may be cancelled early.
pub(super) async fn complete<Entity>(
    connection: &mut PgConnection,
    orders: &[OrderId],
    known: Vec<(OrderId, Entity)>,
) -> Result<HashMap<OrderId, State<Entity>>, StoreError> {
    let mut states: HashMap<OrderId, State<Entity>> =
        orders.iter().map(|order| (*order, State::Unknown)).collect();
    states.extend(known.into_iter().map(|(order, entity)| (order, State::Known(entity))));
    let unknown: Vec<OrderId> =
        states.iter().filter(|(_, state)| state.known().is_none()).map(|(order, _)| *order).collect();
    if !unknown.is_empty() {
        let early = sqlx::query_scalar::<_, OrderId>(
            "SELECT order_id FROM early_cancellations WHERE order_id = ANY($1)",
        );
        let early = early.bind(unknown).fetch_all(connection).await?;
        states.extend(early.into_iter().map(|order| (order, State::CancelledEarly)));
    }
    Ok(states)
}

/// Adds cancellations.
pub(super) async fn insert(connection: &mut PgConnection, orders: &[OrderId]) -> Result<(), StoreError> {
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO early_cancellations (order_id) SELECT * FROM UNNEST($1::uuid[]) ON CONFLICT DO NOTHING",
    )
    .bind(orders)
    .execute(connection)
    .await?;
    Ok(())
}
