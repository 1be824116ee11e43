//! The payment service's HTTP routes. Only the gateway calls them.

use std::collections::HashMap;
use std::sync::Arc;

use ::http::Method;
use chassis::database::{Connections, StoreError, read_list};
use chassis::http::{self, Owned, ReadyResponse, Request, Response, Routes, SharedReads, route};
use contracts::list::{ListRequest, PaymentList};
use contracts::payment::PaymentStats;
use contracts::{OrderId, OwnerFilter, PaymentId, Problem, Word};

use crate::store::payment_list::Payments;
use crate::store::payment_totals;
use crate::store::payments::{self, ClientPayment};

pub(crate) fn routes(connections: Connections) -> Routes {
    Routes::new(
        Arc::new(Reads::new(connections)),
        [
            route(Method::GET, "/payments", list),
            route(Method::GET, "/payments/stats", stats),
            route(Method::GET, "/payments/{id}", find),
            route(Method::GET, "/payments/order/{orderId}", find_by_order),
        ],
    )
}

/// What clients read.
struct Reads {
    connections: Connections,
    payments: SharedReads<Owned<PaymentId>, ClientPayment>,
    payments_of_orders: SharedReads<Owned<OrderId>, ClientPayment>,
    lists: SharedReads<Owned<ListRequest<PaymentList>>, ReadyResponse>,
    stats: SharedReads<OwnerFilter, PaymentStats<Word>>,
}

impl Reads {
    fn new(connections: Connections) -> Self {
        Self {
            connections,
            payments: SharedReads::of_one(),
            payments_of_orders: SharedReads::of_one(),
            lists: SharedReads::of_lists(),
            stats: SharedReads::of_one(),
        }
    }

    async fn payments(
        &self,
        ids: Vec<Owned<PaymentId>>,
    ) -> Result<HashMap<Owned<PaymentId>, ClientPayment>, StoreError> {
        let find = async |within, ids: Vec<PaymentId>| payments::find(&self.connections, &within, &ids).await;
        http::of_each_owner(ids, find, |payment| payment.id).await
    }

    async fn payments_of_orders(
        &self,
        ids: Vec<Owned<OrderId>>,
    ) -> Result<HashMap<Owned<OrderId>, ClientPayment>, StoreError> {
        let find = async |within, ids: Vec<OrderId>| {
            payments::find_of_orders(&self.connections, &within, &ids).await
        };
        http::of_each_owner(ids, find, |payment| payment.order_id).await
    }

    async fn list(
        &self,
        Owned { within, what: asked }: Owned<ListRequest<PaymentList>>,
    ) -> Result<Option<ReadyResponse>, StoreError> {
        let listed = read_list::<Payments>(&self.connections, &within, &asked).await?;
        Ok(listed.map(|listed| http::list(&asked, &listed)))
    }
}

async fn list(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let list = reads.lists.get_each(request.owned(request.list()?)?, |asked| reads.list(asked)).await?;
    Ok(list.ok_or_else(http::invalid_cursor)?.map(Into::into))
}

async fn stats(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let stats =
        async |within: OwnerFilter| payment_totals::stats(&reads.connections, &within).await.map(Some);
    http::found(reads.stats.get_each(request.owner()?, stats).await?)
}

async fn find(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let id = request.owned(request.id("id")?)?;
    http::found(reads.payments.get(id, |ids| reads.payments(ids)).await?)
}

async fn find_by_order(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let id = request.owned(request.id("orderId")?)?;
    http::found(reads.payments_of_orders.get(id, |ids| reads.payments_of_orders(ids)).await?)
}
