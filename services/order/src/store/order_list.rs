//! The list of orders, as clients see them.
//!
//! Each combination of filters is a statement of its own, which reads one range of one index and nothing else. For `status` together
//! with `userId` there is no index: it would cost each order more than it brings (docs/PERFORMANCE.md). There the customer's orders
//! are read, no more of them than a part may hold, and the others are left out.

use chassis::database::{ListedTable, Place, Range, StoreError};
use contracts::list::{OrderList, Sort};
use contracts::{OrderId, OrderStatus, OwnerFilter, Word, order};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;

use super::orders::ClientOrder;

type ListRequest = contracts::list::ListRequest<OrderList>;

macro_rules! orders_of_all {
    () => {
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner FROM orders
         WHERE (created_at, id) > ($1, $2) AND (created_at, id) < ($3, $4)"
    };
}

macro_rules! orders_of_status {
    () => {
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner FROM orders
         WHERE (status, created_at, id) > ($7, $1, $2) AND (status, created_at, id) < ($7, $3, $4)"
    };
}

/// Of each client that has orders. There are few clients, and an index for operators alone would cost each order as much again.
macro_rules! orders_of_user {
    () => {
        "SELECT of_client.*
         FROM (SELECT DISTINCT owner FROM order_counts) AS client
         CROSS JOIN LATERAL (
             SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner FROM orders
             WHERE (owner, user_id, created_at, id) > (client.owner, $7, $1, $2) AND (owner, user_id, created_at, id) < (client.owner, $7, $3, $4)"
    };
}

macro_rules! orders_of_owner {
    () => {
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner FROM orders
         WHERE (owner, created_at, id) > ($7, $1, $2) AND (owner, created_at, id) < ($7, $3, $4)"
    };
}

macro_rules! orders_of_owner_and_status {
    () => {
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner FROM orders
         WHERE (owner, status, created_at, id) > ($7, $8, $1, $2) AND (owner, status, created_at, id) < ($7, $8, $3, $4)"
    };
}

macro_rules! orders_of_owner_and_user {
    () => {
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner FROM orders
         WHERE (owner, user_id, created_at, id) > ($7, $8, $1, $2) AND (owner, user_id, created_at, id) < ($7, $8, $3, $4)"
    };
}

/// The table `orders`, as clients read it.
pub(crate) struct Orders;

impl ListedTable for Orders {
    type List = OrderList;
    type Item = ClientOrder;

    fn id(order: &ClientOrder) -> OrderId {
        order.id
    }

    async fn count(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        status: Option<OrderStatus>,
    ) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar::<_, i64>(
            "SELECT coalesce(sum(count), 0)::bigint FROM order_counts
         WHERE $1 IN ('*', owner) AND ($2::text IS NULL OR status = $2)",
        );
        Ok(count.bind(within).bind(status).fetch_one(connection).await?.unsigned_abs())
    }

    async fn place(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        order: OrderId,
    ) -> Result<Option<Place>, StoreError> {
        let created_at = sqlx::query_scalar::<_, OffsetDateTime>(
            "SELECT created_at FROM orders WHERE id = $1 AND $2 IN ('*', owner)",
        );
        let created_at = created_at.bind(order).bind(within).fetch_optional(connection).await?;
        Ok(created_at.map(|created_at| (created_at, order.as_uuid())))
    }

    async fn range(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        asked: &ListRequest,
        range: Range,
    ) -> Result<Vec<ClientOrder>, StoreError> {
        use OwnerFilter::{Any, Only};
        let filter = &asked.filter;
        let statement = match (within, filter.user_id, filter.status, asked.sort) {
            (Any, None, None, Sort::Newest) => range.of(sqlx::query_as::<_, order::Order<Word, Word>>(
                concat!(orders_of_all!(), " ORDER BY created_at DESC, id DESC LIMIT $5 OFFSET $6"),
            )),
            (Any, None, None, Sort::Oldest) => range.of(sqlx::query_as::<_, order::Order<Word, Word>>(
                concat!(orders_of_all!(), " ORDER BY created_at, id LIMIT $5 OFFSET $6"),
            )),
            (Any, None, Some(status), Sort::Newest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_status!(),
                    " ORDER BY status DESC, created_at DESC, id DESC LIMIT $5 OFFSET $6"
                )))
                .bind(status),
            (Any, None, Some(status), Sort::Oldest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_status!(),
                    " ORDER BY status, created_at, id LIMIT $5 OFFSET $6"
                )))
                .bind(status),
            (Any, Some(user), _, Sort::Newest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_user!(),
                    " ORDER BY owner DESC, user_id DESC, created_at DESC, id DESC LIMIT $5) AS of_client
                 ORDER BY created_at DESC, id DESC LIMIT $5 OFFSET $6"
                )))
                .bind(user),
            (Any, Some(user), _, Sort::Oldest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_user!(),
                    " ORDER BY owner, user_id, created_at, id LIMIT $5) AS of_client
                 ORDER BY created_at, id LIMIT $5 OFFSET $6"
                )))
                .bind(user),
            (Only(owner), None, None, Sort::Newest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_owner!(),
                    " ORDER BY owner DESC, created_at DESC, id DESC LIMIT $5 OFFSET $6"
                )))
                .bind(owner),
            (Only(owner), None, None, Sort::Oldest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_owner!(),
                    " ORDER BY owner, created_at, id LIMIT $5 OFFSET $6"
                )))
                .bind(owner),
            (Only(owner), None, Some(status), Sort::Newest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_owner_and_status!(),
                    " ORDER BY owner DESC, status DESC, created_at DESC, id DESC LIMIT $5 OFFSET $6"
                )))
                .bind(owner)
                .bind(status),
            (Only(owner), None, Some(status), Sort::Oldest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_owner_and_status!(),
                    " ORDER BY owner, status, created_at, id LIMIT $5 OFFSET $6"
                )))
                .bind(owner)
                .bind(status),
            (Only(owner), Some(user), _, Sort::Newest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_owner_and_user!(),
                    " ORDER BY owner DESC, user_id DESC, created_at DESC, id DESC LIMIT $5 OFFSET $6"
                )))
                .bind(owner)
                .bind(user),
            (Only(owner), Some(user), _, Sort::Oldest) => range
                .of(sqlx::query_as::<_, order::Order<Word, Word>>(concat!(
                    orders_of_owner_and_user!(),
                    " ORDER BY owner, user_id, created_at, id LIMIT $5 OFFSET $6"
                )))
                .bind(owner)
                .bind(user),
        };
        Ok(statement.fetch_all(connection).await?)
    }

    fn is_sifted(asked: &ListRequest) -> bool {
        asked.filter.status.is_some() && asked.filter.user_id.is_some()
    }

    fn is_wanted(asked: &ListRequest, order: &ClientOrder) -> bool {
        asked.filter.status.is_none_or(|status| order.status == <&str>::from(status))
    }
}
