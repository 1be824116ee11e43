//! The table `early_cancellations`, which every service with an aggregate has: cancellations that overtook their orders, and
//! whose the orders must be.

use std::collections::HashMap;

use contracts::{OrderId, OwnerFilter};
use sqlx::PgConnection;

use super::State;
use crate::database::StoreError;

/// What is known about each of `orders`: those that are not among the `known` ones may be cancelled early.
pub(super) async fn complete<Entity: Clone>(
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
        let early = sqlx::query_as::<_, (OrderId, OwnerFilter)>(
            "SELECT order_id, owner FROM early_cancellations WHERE order_id = ANY($1)",
        );
        for (order, by) in early.bind(unknown).fetch_all(connection).await? {
            states.entry(order).and_modify(|state| *state = state.cancelled_early_by(by));
        }
    }
    Ok(states)
}

/// Adds cancellations.
pub(super) async fn insert(
    connection: &mut PgConnection,
    cancelled: &[(OrderId, OwnerFilter)],
) -> Result<(), StoreError> {
    if cancelled.is_empty() {
        return Ok(());
    }
    let (orders, owners): (Vec<_>, Vec<_>) = cancelled.iter().cloned().unzip();
    sqlx::query(
        "INSERT INTO early_cancellations (order_id, owner) SELECT * FROM UNNEST($1::uuid[], $2::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(orders)
    .bind(owners)
    .execute(connection)
    .await?;
    Ok(())
}
