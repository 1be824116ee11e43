//! The order service's HTTP routes. Only the gateway calls them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError};
use chassis::failed_messages;
use chassis::http::{self, ReadyResponse, Request, Response, Routes, SharedReads, route};
use contracts::order::IdempotencyClaim;
use contracts::page::ListRequest;
use contracts::problem::InvalidMember;
use contracts::{OrderId, Problem};
use sqlx::PgPool;

use crate::settlement::Settlements;
use crate::store::orders::{self, ClientOrder};
use crate::store::{idempotency_keys, timeline};

/// The longest that a client may wait for an order to settle; if it asks for longer, it waits as long as this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

pub(crate) fn routes(pool: PgPool, settlements: Arc<Settlements>) -> Routes {
    let failed_messages = failed_messages::routes(pool.clone());
    let connections = Connections::of(pool.clone());
    let reads = Arc::new(Reads {
        connections: connections.clone(),
        orders: SharedReads::of_one(),
        lists: SharedReads::of_lists(),
    });
    let find = Routes::new((Arc::clone(&reads), settlements), [route(Method::GET, "/orders/{id}", find)]);
    let list = Routes::new(reads, [route(Method::GET, "/orders", list)]);
    let claim = Routes::new(connections, [route(Method::PUT, "/idempotency-keys/{id}", claim_key)]);
    let events = Routes::new(pool, [route(Method::GET, "/orders/{id}/events", events)]);
    events.merge(find).merge(list).merge(claim).merge(failed_messages)
}

/// What clients read.
struct Reads {
    connections: Connections,
    orders: SharedReads<OrderId, ClientOrder>,
    lists: SharedReads<ListRequest<OrderId>, ReadyResponse>,
}

impl Reads {
    async fn orders(&self, ids: Vec<OrderId>) -> Result<HashMap<OrderId, ClientOrder>, StoreError> {
        let found = orders::find(&self.connections, &ids).await?;
        Ok(found.into_iter().map(|order| (order.id, order)).collect())
    }

    async fn list(&self, asked: ListRequest<OrderId>) -> Result<Option<ReadyResponse>, StoreError> {
        let page_at = |page| orders::page(&self.connections, page);
        let behind_item = |id, limit| orders::behind(&self.connections, id, limit);
        http::list(asked, page_at, behind_item, |order| order.id).await
    }
}

async fn list(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let list = reads.lists.get_each(request.list()?, |asked| reads.list(asked)).await?;
    Ok(list.ok_or_else(http::invalid_cursor)?.map(Into::into))
}

/// One order. With `?wait=N` it is answered once it has settled, or after N milliseconds as it is then.
async fn find(
    (reads, settlements): (Arc<Reads>, Arc<Settlements>),
    request: Request,
) -> Result<Response, Problem> {
    let id = request.id("id")?;
    if let Some(time) = wait(&request)?
        && let Some(order) = settlements.wait(id, time).await
    {
        return Ok(http::json(StatusCode::OK, &order));
    }
    http::found(reads.orders.get(id, |ids| reads.orders(ids)).await?)
}

/// How long the client is ready to wait for the order to settle.
fn wait(request: &Request) -> Result<Option<Duration>, Problem> {
    let Some(text) = request.query_parameter("wait") else { return Ok(None) };
    let invalid = |_| Problem::invalid(vec![InvalidMember::new("wait", "must be a number of milliseconds")]);
    let time = text.parse().map(Duration::from_millis).map_err(invalid)?;
    Ok(Some(time.min(LONGEST_WAIT)))
}

async fn events(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let (id, page) = (request.id("id")?, request.cursor());
    let found = timeline::page(&pool, id, page).await?;
    let next = found.as_ref().filter(|(_, more)| *more).and_then(|(timeline, _)| timeline.events.last());
    let next = next.map(|last| format!("?after={}&limit={}", last.event_id, page.limit));
    let response = http::found(found.map(|(timeline, _)| timeline))?;
    Ok(http::with_next(response, next))
}

/// Answers 200 if the key stands for this request (now or already), 422 if it stands for another one.
async fn claim_key(connections: Connections, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    let claim: IdempotencyClaim = serde_json::from_slice(&request.body.read().await?)
        .map_err(|error| Problem::invalid(vec![InvalidMember::new("", error.to_string())]))?;
    let fingerprint = idempotency_keys::claim(&connections, id, &claim.fingerprint).await?;
    if fingerprint != claim.fingerprint {
        return Err(Problem::new(422, "The key was used with another request."));
    }
    Ok(http::json(StatusCode::OK, &claim))
}
