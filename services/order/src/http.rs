//! The order service's HTTP routes. Only the gateway calls them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError, read_list};
use chassis::http::{self, Owned, ReadyResponse, Request, Response, Routes, SharedReads, route};
use contracts::feed::FeedRequest;
use contracts::list::{ListRequest, OrderList};
use contracts::problem::InvalidMember;
use contracts::{OrderId, Problem, ProblemType};

use crate::store::feed::{self, Found};
use crate::store::order_list::Orders;
use crate::store::orders::{self, ClientOrder};
use crate::store::timeline;
use crate::{diagnosis, idempotency, search};

pub(crate) fn routes(connections: Connections, saga_timeout: Duration) -> Routes {
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
    let secret = idempotency::Secret::default();
    let keys = idempotency::routes(connections.clone(), secret.clone());
    let for_operators = search::routes(connections.clone(), secret)
        .merge(diagnosis::routes(connections.clone(), saga_timeout));
    let events = Routes::new(connections, [route(Method::GET, "/orders/{id}/events", events)]);
    events.merge(reads).merge(keys).merge(for_operators)
}

/// What clients read.
struct Reads {
    connections: Connections,
    orders: SharedReads<Owned<OrderId>, ClientOrder>,
    lists: SharedReads<Owned<ListRequest<OrderList>>, ReadyResponse>,
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
        Owned { within, what: asked }: Owned<ListRequest<OrderList>>,
    ) -> Result<Option<ReadyResponse>, StoreError> {
        let listed = read_list::<Orders>(&self.connections, &within, &asked).await?;
        Ok(listed.map(|listed| http::list(&asked, &listed)))
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

/// A time in the query string.
pub(crate) fn milliseconds(request: &Request, name: &str) -> Result<Option<Duration>, Problem> {
    let Some(text) = request.query_parameter(name) else { return Ok(None) };
    let invalid = |_| Problem::invalid(vec![InvalidMember::new(name, "must be a number of milliseconds")]);
    text.parse().map(|number| Some(Duration::from_millis(number))).map_err(invalid)
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
        Some(Found::Ahead) | None => {
            Err(Problem::new(ProblemType::CursorAhead, "The database is at an earlier moment."))
        }
    }
}
