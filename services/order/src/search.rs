//! Which orders an id of any kind belongs to: their own, a correlation id, a trace's, an event's, an `Idempotency-Key`.

use std::collections::HashSet;
use std::sync::Arc;

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError};
use chassis::http::{self, Request, Response, Routes, route};
use contracts::search::{FoundBy, FoundOrder, SearchResults, wanted_text};
use contracts::{EventId, IdempotencyKey, IdempotencySecret, OrderId, OwnerFilter, Problem, header};
use sqlx::PgConnection;

use crate::idempotency::Secret;
use crate::store::search::{self, Found, MOST};

pub(crate) fn routes(connections: Connections, secret: Secret) -> Routes {
    Routes::new(Arc::new(Search { connections, secret }), [route(Method::GET, "/search", find)])
}

struct Search {
    connections: Connections,
    secret: Secret,
}

async fn find(search: Arc<Search>, request: Request) -> Result<Response, Problem> {
    let query = request.query_parameter("q");
    let text = wanted_text(query.as_deref()).map_err(|wrong| Problem::invalid(vec![wrong]))?;
    Ok(http::json(StatusCode::OK, &search.orders(text).await?))
}

impl Search {
    async fn orders(&self, text: &str) -> Result<SearchResults, StoreError> {
        let secret = self.secret.get(&self.connections).await?;
        let mut connection = self.connections.take_for(&OwnerFilter::Any).await?;
        let mut found: Vec<(FoundBy, Found)> = Vec::new();
        let mut add =
            |by: FoundBy, orders: Vec<Found>| found.extend(orders.into_iter().map(|order| (by, order)));
        if let (Ok(order), Ok(event)) = (text.parse::<OrderId>(), text.parse::<EventId>()) {
            add(FoundBy::OrderId, search::order(&mut connection, order).await?);
            add(FoundBy::EventId, search::of_event(&mut connection, event).await?);
        }
        if let Some(trace) = trace_id(text) {
            add(FoundBy::TraceId, search::of_trace(&mut connection, &trace).await?);
        }
        add(FoundBy::CorrelationId, search::of_correlation(&mut connection, text).await?);
        if let Some(key) = header::idempotency_key(text) {
            add(FoundBy::IdempotencyKey, of_key(&mut connection, secret, key).await?);
        }
        connection.keep();
        Ok(SearchResults { orders: latest(found) })
    }
}

/// The orders that clients placed with a key: their ids are derived from it, of each client another one, and by a version before
/// there was a secret without it.
async fn of_key(
    connection: &mut PgConnection,
    secret: &IdempotencySecret,
    key: &str,
) -> Result<Vec<Found>, StoreError> {
    let clients = search::clients(connection).await?;
    let derived = clients.iter().flat_map(|client| {
        let key = IdempotencyKey { client: client.as_str(), key };
        [secret.order_of(key), OrderId::from_idempotency_key(key)]
    });
    search::existing(connection, &derived.collect::<Vec<_>>()).await
}

/// A text as the id of a trace, in the letters in which `traceparent` has it.
fn trace_id(text: &str) -> Option<String> {
    let is_one = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| text.to_ascii_lowercase())
}

/// The latest orders, each once: by what it was found first.
fn latest(mut found: Vec<(FoundBy, Found)>) -> Vec<FoundOrder> {
    let mut seen = HashSet::new();
    found.retain(|(_, order)| seen.insert(order.order_id));
    found.sort_by_key(|(_, order)| std::cmp::Reverse(order.created_at));
    let orders = found.into_iter().take(MOST);
    orders.map(|(by, Found { order_id, .. })| FoundOrder { order_id, by }).collect()
}
