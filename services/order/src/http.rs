//! The order service's HTTP routes. Only the gateway calls them.

use std::collections::HashMap;
use std::sync::Arc;

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError};
use chassis::failed_messages;
use chassis::http::{self, Owned, ReadyResponse, Request, Response, Routes, SharedReads, route};
use contracts::feed::FeedRequest;
use contracts::order::{IdempotencyClaim, IdempotencyClaimed};
use contracts::page::ListRequest;
use contracts::{IdempotencySecret, OrderId, Problem};
use tokio::sync::OnceCell;

use crate::store::feed::{self, Found};
use crate::store::idempotency_keys::{self, Claimed};
use crate::store::orders::{self, ClientOrder};
use crate::store::timeline;

pub(crate) fn routes(connections: Connections) -> Routes {
    let failed_messages = failed_messages::routes(connections.pool().clone());
    let reads = Arc::new(Reads {
        connections: connections.clone(),
        orders: SharedReads::of_one(),
        lists: SharedReads::of_lists(),
        feed: SharedReads::of_feed(2),
    });
    let reads = Routes::new(
        reads,
        [
            route(Method::GET, "/orders/{id}", find),
            route(Method::GET, "/orders", list),
            route(Method::GET, "/events", all_events),
        ],
    );
    let keys = Arc::new(Keys { connections: connections.clone(), secret: OnceCell::new() });
    let claim = Routes::new(keys, [route(Method::PUT, "/idempotency-keys", claim_key)]);
    let events = Routes::new(connections, [route(Method::GET, "/orders/{id}/events", events)]);
    events.merge(reads).merge(claim).merge(failed_messages)
}

/// What clients read.
struct Reads {
    connections: Connections,
    orders: SharedReads<Owned<OrderId>, ClientOrder>,
    lists: SharedReads<Owned<ListRequest<OrderId>>, ReadyResponse>,
    feed: SharedReads<Owned<FeedRequest>, Found>,
}

impl Reads {
    async fn orders(
        &self,
        ids: Vec<Owned<OrderId>>,
    ) -> Result<HashMap<Owned<OrderId>, ClientOrder>, StoreError> {
        let find = async |within, ids: Vec<OrderId>| orders::find(&self.connections, &within, &ids).await;
        http::of_each_owner(ids, find, |order| order.id).await
    }

    async fn list(
        &self,
        Owned { within, what: asked }: Owned<ListRequest<OrderId>>,
    ) -> Result<Option<ReadyResponse>, StoreError> {
        let page_at = |page| orders::page(&self.connections, &within, page);
        let behind_item = |id, limit| orders::behind(&self.connections, &within, id, limit);
        http::list(asked, page_at, behind_item, |order| order.id).await
    }

    async fn feed(&self, asked: Owned<FeedRequest>) -> Result<Option<Found>, StoreError> {
        feed::page(&self.connections, &asked.within, &asked.what).await.map(Some)
    }
}

async fn list(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let list = reads.lists.get_each(request.owned(request.list()?)?, |asked| reads.list(asked)).await?;
    Ok(list.ok_or_else(http::invalid_cursor)?.map(Into::into))
}

async fn find(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let asked = request.owned(request.id("id")?)?;
    http::found(reads.orders.get(asked, |ids| reads.orders(ids)).await?)
}

async fn events(connections: Connections, request: Request) -> Result<Response, Problem> {
    let (id, page) = (request.id("id")?, request.cursor());
    let found = timeline::page(&connections, &request.owner()?, id, page).await?;
    let next = found.as_ref().filter(|(_, more)| *more).and_then(|(timeline, _)| timeline.events.last());
    let next = next.map(|last| format!("?after={}&limit={}", last.event_id, page.limit));
    let response = http::found(found.map(|(timeline, _)| timeline))?;
    Ok(http::with_next(response, next))
}

/// The steps of all orders. `after` is where to read on, from the oldest if there is none.
async fn all_events(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let wanted = FeedRequest::from_query(|name| request.query_parameter(name)).map_err(Problem::invalid)?;
    let asked = request.owned(wanted.clone())?;
    match reads.feed.get_each(asked, |asked| reads.feed(asked)).await? {
        Some(Found::Page(page, more)) => {
            let next = more.then(|| wanted.behind(page.meta.cursor).to_string());
            Ok(http::with_next(http::json(StatusCode::OK, &page), next))
        }
        Some(Found::Ahead) | None => Err(Problem::new(410, "The database is at an earlier moment.")),
    }
}

/// What claims of idempotency keys need.
struct Keys {
    connections: Connections,
    /// Read once, when it is first needed: the schema may be still to be made when the service begins to listen.
    secret: OnceCell<IdempotencySecret>,
}

/// Answers 200 and the order if the key stands for this request (now or already), 422 if it stands for another one.
async fn claim_key(keys: Arc<Keys>, request: Request) -> Result<Response, Problem> {
    let claim: IdempotencyClaim = request.json().await?;
    let secret = keys.secret.get_or_try_init(|| idempotency_keys::secret(&keys.connections)).await?;
    let claimed = idempotency_keys::claim(&keys.connections, secret, &claim).await?;
    if claimed.fingerprint != claim.fingerprint {
        return Err(Problem::new(422, "The key was used with another request."));
    }
    let Claimed { order_id, is_repeated, traceparent: placed_at, .. } = claimed;
    Ok(http::json(StatusCode::OK, &IdempotencyClaimed { order_id, is_repeated, placed_at }))
}
