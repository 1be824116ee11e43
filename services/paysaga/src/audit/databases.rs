//! Both services' databases as the source of an audit: read in one snapshot each, by order id, never all at once.

use std::time::Duration;

use contracts::{Money, OrderId};
use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::types::Decimal;
use sqlx::{PgConnection, Row};
use thiserror::Error;
use uuid::Uuid;

use super::judge::{ChargeSide, OrderSide, Pair, PaymentSide};
use super::pairs::Examiner;
use super::report::{Finding, Report};

const ORDERS: &str = "
    SELECT id, total, status, extract(epoch FROM now() - updated_at)::float8 AS age
    FROM orders ORDER BY id";

/// Payments alone, where the provider's books can't be read.
const PAYMENTS: &str = "
    SELECT order_id, id, amount, status, next_step, attempts, last_error,
           extract(epoch FROM now() - updated_at)::float8 AS age,
           NULL::numeric AS charged, NULL::text AS outcome, false AS refunded
    FROM payments ORDER BY order_id";

/// Payments with what the simulated provider has about them.
const PAYMENTS_WITH_CHARGES: &str = "
    SELECT order_id, id, payments.amount, status, next_step, attempts, last_error,
           extract(epoch FROM now() - updated_at)::float8 AS age,
           charges.amount AS charged, outcome, refunded_at IS NOT NULL AS refunded
    FROM payments LEFT JOIN provider_simulator.charges ON payment_id = id
    ORDER BY order_id";

/// Charges that no payment knows of.
const ORPHANED_CHARGES: &str = "
    SELECT payment_id FROM provider_simulator.charges
    WHERE NOT EXISTS (SELECT FROM payments WHERE id = payment_id)
    LIMIT 100";

/// Statuses whose maintained counter is not what counting gives.
const WRONG_ORDER_COUNTS: &str = "
    SELECT coalesce(counted.status, kept.status) AS status,
           format('%s orders are counted, there are %s', coalesce(kept.count, 0), coalesce(counted.count, 0)) AS what
    FROM (SELECT status, count(*) AS count FROM orders GROUP BY status) AS counted
    FULL JOIN (SELECT status, sum(count) AS count FROM order_counts GROUP BY status) AS kept USING (status)
    WHERE coalesce(counted.count, 0) <> coalesce(kept.count, 0)";

/// Statuses whose maintained totals are not what adding up gives.
const WRONG_PAYMENT_TOTALS: &str = "
    SELECT coalesce(counted.status, kept.status) AS status,
           format('the statistics say %s payments of %s, there are %s of %s', coalesce(kept.count, 0),
                  coalesce(kept.amount, 0), coalesce(counted.count, 0), coalesce(counted.amount, 0)) AS what
    FROM (SELECT status, count(*) AS count, sum(amount) AS amount FROM payments GROUP BY status) AS counted
    FULL JOIN (SELECT status, sum(count) AS count, sum(amount) AS amount FROM payment_totals GROUP BY status) AS kept
         USING (status)
    WHERE coalesce(counted.count, 0) <> coalesce(kept.count, 0)
       OR coalesce(counted.amount, 0) <> coalesce(kept.amount, 0)";

/// A database can't be audited.
#[derive(Debug, Error)]
pub enum AuditError {
    /// It does not answer, or is none of ours.
    #[error("the {database} database can't be read: {source}")]
    Unreadable {
        /// Which.
        database: &'static str,
        /// Why.
        source: sqlx::Error,
    },
}

impl AuditError {
    fn of(database: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Unreadable { database, source }
    }
}

/// Audits both databases. What changed less than `grace` ago may still be on its way.
///
/// Each database is read in a snapshot of its own. The payment's is taken first, so that every payment in it has its
/// order in the other.
pub async fn audit(
    orders: &mut PgConnection,
    payments: &mut PgConnection,
    grace: Duration,
) -> Result<Report, AuditError> {
    begin(payments).await.map_err(AuditError::of("payment"))?;
    begin(orders).await.map_err(AuditError::of("order"))?;
    let provider_known = has_provider(payments).await.map_err(AuditError::of("payment"))?;
    let mut examiner = Examiner::new(grace, provider_known);
    compare(orders, payments, provider_known, &mut examiner).await?;
    wrong_counters(orders, WRONG_ORDER_COUNTS, &mut examiner).await.map_err(AuditError::of("order"))?;
    wrong_counters(payments, WRONG_PAYMENT_TOTALS, &mut examiner).await.map_err(AuditError::of("payment"))?;
    if provider_known {
        orphaned_charges(payments, &mut examiner).await.map_err(AuditError::of("payment"))?;
    }
    Ok(examiner.close())
}

async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // Ends with the connection: nothing is written.
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(connection).await?;
    Ok(())
}

async fn has_provider(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('provider_simulator.charges') IS NOT NULL")
        .fetch_one(connection)
        .await
}

/// Walks through both databases side by side, in the order of the orders' ids.
async fn compare(
    orders: &mut PgConnection,
    payments: &mut PgConnection,
    provider_known: bool,
    examiner: &mut Examiner,
) -> Result<(), AuditError> {
    let payments_query = if provider_known { PAYMENTS_WITH_CHARGES } else { PAYMENTS };
    let mut orders = sqlx::query(ORDERS).fetch(orders);
    let mut payments = sqlx::query(payments_query).fetch(payments);
    let mut next_order = async || {
        let row = orders.try_next().await.and_then(|row| row.as_ref().map(read_order).transpose());
        row.map_err(AuditError::of("order"))
    };
    let mut next_payment = async || {
        let row = payments.try_next().await.and_then(|row| row.as_ref().map(read_payment).transpose());
        row.map_err(AuditError::of("payment"))
    };
    let mut order = next_order().await?;
    let mut payment = next_payment().await?;
    loop {
        let ids =
            (order.as_ref().map(|order| order.id), payment.as_ref().map(|(payment, _)| payment.order_id));
        let (takes_order, takes_payment) = match ids {
            (None, None) => return Ok(()),
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(order), Some(payment)) => (order <= payment, payment <= order),
        };
        let mut pair = Pair::default();
        if takes_order {
            pair.order = order;
            order = next_order().await?;
        }
        if takes_payment {
            if let Some((found, charge)) = payment {
                (pair.payment, pair.charge) = (Some(found), charge);
            }
            payment = next_payment().await?;
        }
        examiner.examine(pair);
    }
}

async fn wrong_counters(
    connection: &mut PgConnection,
    query: &'static str,
    examiner: &mut Examiner,
) -> Result<(), sqlx::Error> {
    for row in sqlx::query(query).fetch_all(connection).await? {
        let (status, what): (String, String) = (row.try_get("status")?, row.try_get("what")?);
        examiner.find(Finding::general("books-balance", format!("{status}: {what}")));
    }
    Ok(())
}

async fn orphaned_charges(connection: &mut PgConnection, examiner: &mut Examiner) -> Result<(), sqlx::Error> {
    for payment_id in sqlx::query_scalar::<_, Uuid>(ORPHANED_CHARGES).fetch_all(connection).await? {
        let what = format!("the provider has a charge under {payment_id}, which is no payment");
        examiner.find(Finding::general("one-charge", what));
    }
    Ok(())
}

fn read_order(row: &PgRow) -> Result<OrderSide, sqlx::Error> {
    Ok(OrderSide {
        id: row.try_get::<Uuid, _>("id")?.into(),
        total: money(row.try_get("total")?)?,
        status: decode(row.try_get::<&str, _>("status")?.parse())?,
        age: age(row)?,
    })
}

fn read_payment(row: &PgRow) -> Result<(PaymentSide, Option<ChargeSide>), sqlx::Error> {
    let id = row.try_get::<Uuid, _>("id")?.into();
    let order_id: OrderId = row.try_get::<Uuid, _>("order_id")?.into();
    let charge = match row.try_get::<Option<Decimal>, _>("charged")? {
        None => None,
        Some(amount) => Some(ChargeSide {
            payment_id: id,
            amount: money(amount)?,
            outcome: row.try_get("outcome")?,
            refunded: row.try_get("refunded")?,
        }),
    };
    let payment = PaymentSide {
        id,
        order_id,
        amount: money(row.try_get("amount")?)?,
        status: decode(row.try_get::<&str, _>("status")?.parse())?,
        step: row.try_get("next_step")?,
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        last_error: row.try_get("last_error")?,
        age: age(row)?,
    };
    Ok((payment, charge))
}

fn age(row: &PgRow) -> Result<Duration, sqlx::Error> {
    Ok(Duration::try_from_secs_f64(row.try_get("age")?).unwrap_or_default())
}

fn money(amount: Decimal) -> Result<Money, sqlx::Error> {
    decode(amount.try_into())
}

fn decode<T, E>(value: Result<T, E>) -> Result<T, sqlx::Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    value.map_err(|error| sqlx::Error::Decode(error.into()))
}
