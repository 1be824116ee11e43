//! The payment service's HTTP routes. Only the gateway calls them.

use std::collections::HashMap;
use std::sync::Arc;

use ::http::Method;
use chassis::database::{Connections, StoreError};
use chassis::failed_messages;
use chassis::http::{self, ReadyResponse, Request, Response, Routes, SharedReads, route};
use contracts::page::ListRequest;
use contracts::payment::PaymentStats;
use contracts::{OrderId, PaymentId, Problem, Word};
use sqlx::PgPool;

use crate::store::payment_totals;
use crate::store::payments::{self, ClientPayment};

pub(crate) fn routes(pool: PgPool) -> Routes {
    let failed_messages = failed_messages::routes(pool.clone());
    let own = Routes::new(
        Arc::new(Reads::new(Connections::of(pool))),
        [
            route(Method::GET, "/payments", list),
            route(Method::GET, "/payments/stats", stats),
            route(Method::GET, "/payments/{id}", find),
            route(Method::GET, "/payments/order/{orderId}", find_by_order),
        ],
    );
    own.merge(failed_messages)
}

/// What clients read.
struct Reads {
    connections: Connections,
    payments: SharedReads<PaymentId, ClientPayment>,
    payments_of_orders: SharedReads<OrderId, ClientPayment>,
    lists: SharedReads<ListRequest<PaymentId>, ReadyResponse>,
    stats: SharedReads<(), PaymentStats<Word>>,
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

    async fn payments(&self, ids: Vec<PaymentId>) -> Result<HashMap<PaymentId, ClientPayment>, StoreError> {
        let found = payments::find(&self.connections, &ids).await?;
        Ok(found.into_iter().map(|payment| (payment.id, payment)).collect())
    }

    async fn payments_of_orders(
        &self,
        ids: Vec<OrderId>,
    ) -> Result<HashMap<OrderId, ClientPayment>, StoreError> {
        let found = payments::find_of_orders(&self.connections, &ids).await?;
        Ok(found.into_iter().map(|payment| (payment.order_id, payment)).collect())
    }

    async fn list(&self, asked: ListRequest<PaymentId>) -> Result<Option<ReadyResponse>, StoreError> {
        let page_at = |page| payments::page(&self.connections, page);
        let behind_item = |id, limit| payments::behind(&self.connections, id, limit);
        http::list(asked, page_at, behind_item, |payment| payment.id).await
    }
}

async fn list(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let list = reads.lists.get_each(request.list()?, |asked| reads.list(asked)).await?;
    Ok(list.ok_or_else(http::invalid_cursor)?.map(Into::into))
}

async fn stats(reads: Arc<Reads>, _: Request) -> Result<Response, Problem> {
    let stats = |()| async { payment_totals::stats(&reads.connections).await.map(Some) };
    http::found(reads.stats.get_each((), stats).await?)
}

async fn find(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    http::found(reads.payments.get(id, |ids| reads.payments(ids)).await?)
}

async fn find_by_order(reads: Arc<Reads>, request: Request) -> Result<Response, Problem> {
    let id = request.id("orderId")?;
    http::found(reads.payments_of_orders.get(id, |ids| reads.payments_of_orders(ids)).await?)
}
