//! The order service's HTTP routes. Only the gateway calls them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError};
use chassis::failed_messages;
use chassis::http::{self, Owned, ReadyResponse, Request, Response, Routes, SharedReads, route};
use contracts::list::{ListRequest, OrderList};
use contracts::problem::InvalidMember;
use contracts::{OrderId, Problem};

use crate::idempotency;
use crate::settlement::Settlements;
use crate::store::order_list;
use crate::store::orders::{self, ClientOrder};
use crate::store::timeline;

/// The longest that a client may wait for an order to settle; if it asks for longer, it waits as long as this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

pub(crate) fn routes(connections: Connections, settlements: Arc<Settlements>) -> Routes {
    let failed_messages = failed_messages::routes(connections.pool().clone());
    let reads = Arc::new(Reads {
        connections: connections.clone(),
        orders: SharedReads::of_one(),
        lists: SharedReads::of_lists(),
    });
    let find = Routes::new((Arc::clone(&reads), settlements), [route(Method::GET, "/orders/{id}", find)]);
    let list = Routes::new(reads, [route(Method::GET, "/orders", list)]);
    let keys = idempotency::routes(connections.clone());
    let events = Routes::new(connections, [route(Method::GET, "/orders/{id}/events", events)]);
    events.merge(find).merge(list).merge(keys).merge(failed_messages)
}

/// What clients read.
struct Reads {
    connections: Connections,
    orders: SharedReads<Owned<OrderId>, ClientOrder>,
    lists: SharedReads<Owned<ListRequest<OrderList>>, ReadyResponse>,
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
        let listed = order_list::read(&self.connections, &within, &asked).await?;
        Ok(listed.map(|listed| http::list(&asked, &listed)))
    }
}

async fn list(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let list = reads.lists.get_each(request.owned(request.list()?)?, |asked| reads.list(asked)).await?;
    Ok(list.ok_or_else(http::invalid_cursor)?.map(Into::into))
}

/// One order. With `?wait=N` it is answered once it has settled, or after N milliseconds as it is then.
async fn find(
    (reads, settlements): (Arc<Reads>, Arc<Settlements>),
    request: Request,
) -> Result<Response, Problem> {
    let asked = request.owned(request.id("id")?)?;
    if let Some(time) = wait(&request)?
        && let Some(order) = settlements.wait(asked.what, time).await
        && order.owner.as_ref().is_some_and(|owner| asked.within.permits(owner))
    {
        return Ok(http::json(StatusCode::OK, &order));
    }
    http::found(reads.orders.get(asked, |ids| reads.orders(ids)).await?)
}

/// How long the client is ready to wait for the order to settle.
fn wait(request: &Request) -> Result<Option<Duration>, Problem> {
    Ok(milliseconds(request, "wait")?.map(|time| time.min(LONGEST_WAIT)))
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
