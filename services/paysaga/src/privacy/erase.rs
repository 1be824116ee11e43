//! Takes a customer out of everything that is kept, and leaves the books as they are.
//!
//! In the customer's place stands a tombstone, the same for all: orders and payments, their ids and amounts, idempotency keys and
//! the ids of events stay, so that nothing is placed or charged again and every total is what it was.

use contracts::UserId;
use contracts::topology::Service;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{Databases, PrivacyError};

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Orders of the customer.
    pub orders: u64,
    /// Events of these orders that named the customer.
    pub events: u64,
    /// Failed messages of both services that did.
    pub failed_messages: u64,
    /// Answers that are repeated to duplicate requests, and did.
    pub stored_answers: u64,
}

/// Who stands in the place of an erased customer.
fn tombstone() -> UserId {
    Uuid::nil().into()
}

/// Erases a customer whose orders have settled; with `dry_run`, only counts what would be. Can be repeated.
pub async fn erase(databases: &mut Databases, user: UserId, dry_run: bool) -> Result<Erased, PrivacyError> {
    let (of_order, of_payment) = (PrivacyError::of(Service::Order), PrivacyError::of(Service::Payment));
    // The payment's first: if the second fails, the orders still show that there is something to erase.
    let mut payments = databases.payments.begin().await.map_err(of_payment)?;
    let of_payments = erase_messages(&mut payments, user).await.map_err(of_payment)?;
    let mut orders = databases.orders.begin().await.map_err(of_order)?;
    let unsettled = unsettled(&mut orders, user).await.map_err(of_order)?;
    if unsettled > 0 {
        return Err(PrivacyError::Unsettled(unsettled));
    }
    let unpublished = unpublished(&mut orders, user).await.map_err(of_order)?;
    if unpublished > 0 {
        return Err(PrivacyError::Unpublished(unpublished));
    }
    let erased = Erased {
        orders: erase_orders(&mut orders, user).await.map_err(of_order)?,
        events: erase_events(&mut orders, user).await.map_err(of_order)?,
        failed_messages: of_payments + erase_messages(&mut orders, user).await.map_err(of_order)?,
        stored_answers: erase_answers(&mut orders, user).await.map_err(of_order)?,
    };
    if !dry_run {
        payments.commit().await.map_err(of_payment)?;
        orders.commit().await.map_err(of_order)?;
    }
    Ok(erased)
}

async fn unsettled(connection: &mut PgConnection, user: UserId) -> Result<i64, sqlx::Error> {
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM orders WHERE user_id = $1 AND status NOT IN ('PAID', 'CANCELLED', 'FAILED')",
    );
    count.bind(user).fetch_one(connection).await
}

async fn unpublished(connection: &mut PgConnection, user: UserId) -> Result<i64, sqlx::Error> {
    let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox WHERE position($1 IN body) > 0");
    count.bind(user.to_string()).fetch_one(connection).await
}

async fn erase_orders(connection: &mut PgConnection, user: UserId) -> Result<u64, sqlx::Error> {
    let erased = sqlx::query("UPDATE orders SET user_id = $2 WHERE user_id = $1");
    Ok(erased.bind(user).bind(tombstone()).execute(connection).await?.rows_affected())
}

async fn erase_events(connection: &mut PgConnection, user: UserId) -> Result<u64, sqlx::Error> {
    let erased = sqlx::query(
        "UPDATE order_events SET payload = jsonb_set(payload, '{userId}', to_jsonb($2::text))
         WHERE payload ->> 'userId' = $1",
    );
    let erased = erased.bind(user.to_string()).bind(tombstone().to_string());
    Ok(erased.execute(connection).await?.rows_affected())
}

/// Bodies are any bytes, so they are replaced in hexadecimal.
async fn erase_messages(connection: &mut PgConnection, user: UserId) -> Result<u64, sqlx::Error> {
    let erased = sqlx::query(
        "UPDATE failed_messages
         SET body = decode(replace(encode(body, 'hex'), encode(convert_to($1, 'UTF8'), 'hex'),
                                   encode(convert_to($2, 'UTF8'), 'hex')), 'hex'),
             original_body = decode(replace(encode(original_body, 'hex'), encode(convert_to($1, 'UTF8'), 'hex'),
                                            encode(convert_to($2, 'UTF8'), 'hex')), 'hex')
         WHERE position(convert_to($1, 'UTF8') IN body) > 0 OR position(convert_to($1, 'UTF8') IN original_body) > 0",
    );
    let erased = erased.bind(user.to_string()).bind(tombstone().to_string());
    Ok(erased.execute(connection).await?.rows_affected())
}

async fn erase_answers(connection: &mut PgConnection, user: UserId) -> Result<u64, sqlx::Error> {
    let erased = sqlx::query(
        "UPDATE idempotency_keys SET answer_body = replace(answer_body, $1, $2)
         WHERE position($1 IN answer_body) > 0",
    );
    let erased = erased.bind(user.to_string()).bind(tombstone().to_string());
    Ok(erased.execute(connection).await?.rows_affected())
}
