//! The list of payments, as clients see them. Each combination of filters is a statement of its own, which reads one range of one
//! index and nothing else.

use chassis::database::{ListedTable, Place, Range, StoreError};
use contracts::list::{PaymentList, Sort};
use contracts::{OwnerFilter, PaymentId, PaymentStatus, Word, payment};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;

use super::payment_totals;
use super::payments::ClientPayment;

type ListRequest = contracts::list::ListRequest<PaymentList>;

macro_rules! payments_of_all {
    () => {
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at, owner FROM payments
         WHERE (created_at, id) > ($1, $2) AND (created_at, id) < ($3, $4)"
    };
}

macro_rules! payments_of_status {
    () => {
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at, owner FROM payments
         WHERE (status, created_at, id) > ($7, $1, $2) AND (status, created_at, id) < ($7, $3, $4)"
    };
}

macro_rules! payments_of_owner {
    () => {
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at, owner FROM payments
         WHERE (owner, created_at, id) > ($7, $1, $2) AND (owner, created_at, id) < ($7, $3, $4)"
    };
}

macro_rules! payments_of_owner_and_status {
    () => {
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at, owner FROM payments
         WHERE (owner, status, created_at, id) > ($7, $8, $1, $2) AND (owner, status, created_at, id) < ($7, $8, $3, $4)"
    };
}

/// The table `payments`, as clients read it.
pub(crate) struct Payments;

impl ListedTable for Payments {
    type List = PaymentList;
    type Item = ClientPayment;

    fn id(payment: &ClientPayment) -> PaymentId {
        payment.id
    }

    async fn count(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        status: Option<PaymentStatus>,
    ) -> Result<u64, StoreError> {
        payment_totals::count(connection, within, status).await
    }

    async fn place(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        payment: PaymentId,
    ) -> Result<Option<Place>, StoreError> {
        let created_at = sqlx::query_scalar::<_, OffsetDateTime>(
            "SELECT created_at FROM payments WHERE id = $1 AND $2 IN ('*', owner)",
        );
        let created_at = created_at.bind(payment).bind(within).fetch_optional(connection).await?;
        Ok(created_at.map(|created_at| (created_at, payment.as_uuid())))
    }

    async fn range(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        asked: &ListRequest,
        range: Range,
    ) -> Result<Vec<ClientPayment>, StoreError> {
        use OwnerFilter::{Any, Only};
        let statement = match (within, asked.filter.status, asked.sort) {
            (Any, None, Sort::Newest) => range.of(sqlx::query_as::<_, payment::Payment<Word>>(concat!(
                payments_of_all!(),
                " ORDER BY created_at DESC, id DESC LIMIT $5 OFFSET $6"
            ))),
            (Any, None, Sort::Oldest) => range.of(sqlx::query_as::<_, payment::Payment<Word>>(concat!(
                payments_of_all!(),
                " ORDER BY created_at, id LIMIT $5 OFFSET $6"
            ))),
            (Any, Some(status), Sort::Newest) => range
                .of(sqlx::query_as::<_, payment::Payment<Word>>(concat!(
                    payments_of_status!(),
                    " ORDER BY status DESC, created_at DESC, id DESC LIMIT $5 OFFSET $6"
                )))
                .bind(status),
            (Any, Some(status), Sort::Oldest) => range
                .of(sqlx::query_as::<_, payment::Payment<Word>>(concat!(
                    payments_of_status!(),
                    " ORDER BY status, created_at, id LIMIT $5 OFFSET $6"
                )))
                .bind(status),
            (Only(owner), None, Sort::Newest) => range
                .of(sqlx::query_as::<_, payment::Payment<Word>>(concat!(
                    payments_of_owner!(),
                    " ORDER BY owner DESC, created_at DESC, id DESC LIMIT $5 OFFSET $6"
                )))
                .bind(owner),
            (Only(owner), None, Sort::Oldest) => range
                .of(sqlx::query_as::<_, payment::Payment<Word>>(concat!(
                    payments_of_owner!(),
                    " ORDER BY owner, created_at, id LIMIT $5 OFFSET $6"
                )))
                .bind(owner),
            (Only(owner), Some(status), Sort::Newest) => range
                .of(sqlx::query_as::<_, payment::Payment<Word>>(concat!(
                    payments_of_owner_and_status!(),
                    " ORDER BY owner DESC, status DESC, created_at DESC, id DESC LIMIT $5 OFFSET $6"
                )))
                .bind(owner)
                .bind(status),
            (Only(owner), Some(status), Sort::Oldest) => range
                .of(sqlx::query_as::<_, payment::Payment<Word>>(concat!(
                    payments_of_owner_and_status!(),
                    " ORDER BY owner, status, created_at, id LIMIT $5 OFFSET $6"
                )))
                .bind(owner)
                .bind(status),
        };
        Ok(statement.fetch_all(connection).await?)
    }
}
