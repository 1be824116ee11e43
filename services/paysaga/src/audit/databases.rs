//! Both services' databases as the source of an audit: read in one snapshot each, by order id, one order at a time.

use std::time::Duration;

use contracts::books::records::SagaRecords;
use contracts::books::rows::{OrderRow, PaymentRow};
use contracts::topology::Service;
use futures_util::TryStreamExt;
use sqlx::{FromRow, PgConnection};
use thiserror::Error;
use uuid::Uuid;

use super::auditor::Auditor;
use super::backlog;
use super::report::{Finding, Report};

const ORDERS: &str = "
    SELECT id, total, status, extract(epoch FROM now() - updated_at)::float8 AS age, NULL::float8 AS overdue
    FROM orders ORDER BY id";

/// Payments alone, for a provider whose books can't be read.
const PAYMENTS: &str = "
    SELECT order_id, id, amount, status, next_step, NULL::float8 AS step_overdue, attempts, last_error, refund_refusal, refund_reference,
           extract(epoch FROM now() - updated_at)::float8 AS age,
           NULL::numeric AS charged, NULL::text AS outcome, false AS refunded, false AS charge_forgotten
    FROM payments ORDER BY order_id";

/// Payments with what the simulated provider has about them.
const PAYMENTS_WITH_CHARGES: &str = "
    SELECT order_id, id, payments.amount, status, next_step, NULL::float8 AS step_overdue, attempts, last_error, refund_refusal, refund_reference,
           extract(epoch FROM now() - updated_at)::float8 AS age,
           charges.amount AS charged, outcome, refunded_at IS NOT NULL AS refunded,
           coalesce(updated_at < (SELECT before FROM provider_simulator.forgotten), false) AS charge_forgotten
    FROM payments LEFT JOIN provider_simulator.charges ON payment_id = id
    ORDER BY order_id";

/// Charges without a payment.
const ORPHANED_CHARGES: &str = "
    SELECT payment_id FROM provider_simulator.charges
    WHERE NOT EXISTS (SELECT FROM payments WHERE id = payment_id)
    LIMIT 100";

/// Statuses whose maintained counter differs from what counting gives.
const WRONG_ORDER_COUNTS: &str = "
    SELECT coalesce(counted.status, kept.status) AS status,
           format('%s orders of %s are counted, there are %s', coalesce(kept.count, 0), owner,
                  coalesce(counted.count, 0)) AS what
    FROM (SELECT owner, status, count(*) AS count FROM orders GROUP BY owner, status) AS counted
    FULL JOIN (SELECT owner, status, sum(count) AS count FROM order_counts GROUP BY owner, status) AS kept
         USING (owner, status)
    WHERE coalesce(counted.count, 0) <> coalesce(kept.count, 0)";

/// Statuses whose maintained totals differ from what adding up gives.
const WRONG_PAYMENT_TOTALS: &str = "
    SELECT coalesce(counted.status, kept.status) AS status,
           format('the statistics of %s say %s payments of %s, there are %s of %s', owner, coalesce(kept.count, 0),
                  coalesce(kept.amount, 0), coalesce(counted.count, 0), coalesce(counted.amount, 0)) AS what
    FROM (SELECT owner, status, count(*) AS count, sum(amount) AS amount FROM payments
          GROUP BY owner, status) AS counted
    FULL JOIN (SELECT owner, status, sum(count) AS count, sum(amount) AS amount FROM payment_totals
               GROUP BY owner, status) AS kept
         USING (owner, status)
    WHERE coalesce(counted.count, 0) <> coalesce(kept.count, 0)
       OR coalesce(counted.amount, 0) <> coalesce(kept.amount, 0)";

/// A connection to each service's database.
#[derive(Debug)]
pub struct Databases {
    /// To the order service's.
    pub orders: PgConnection,
    /// To the payment service's.
    pub payments: PgConnection,
}

/// A database does not answer, or is not one of paysaga's.
#[derive(Debug, Error)]
#[error("the {service} database can't be read: {source}")]
pub struct AuditError {
    service: Service,
    source: sqlx::Error,
}

/// A status whose counter is wrong.
#[derive(FromRow)]
struct WrongCounter {
    status: String,
    what: String,
}

impl AuditError {
    fn of(service: Service) -> impl Fn(sqlx::Error) -> Self + Copy {
        move |source| Self { service, source }
    }
}

/// Audits both databases, outboxes and failed messages included. What changed less than `grace` ago may still change.
///
/// Each database is read in a snapshot of its own. The payment's is taken first, so that every payment in it has its
/// order in the other.
pub async fn audit(databases: &mut Databases, grace: Duration) -> Result<Report, AuditError> {
    let (of_order, of_payment) = (AuditError::of(Service::Order), AuditError::of(Service::Payment));
    begin(&mut databases.payments).await.map_err(of_payment)?;
    begin(&mut databases.orders).await.map_err(of_order)?;
    let provider_known = has_simulated_provider(&mut databases.payments).await.map_err(of_payment)?;
    let mut auditor = Auditor::new(grace, provider_known, true);
    examine_every_order(databases, &mut auditor).await?;

    let Databases { orders, payments } = databases;
    let wrong = sqlx::query_as::<_, WrongCounter>(WRONG_ORDER_COUNTS).fetch_all(&mut *orders).await;
    wrong.map_err(of_order)?.into_iter().for_each(|counter| auditor.find(counter.finding()));
    let wrong = sqlx::query_as::<_, WrongCounter>(WRONG_PAYMENT_TOTALS).fetch_all(&mut *payments).await;
    wrong.map_err(of_payment)?.into_iter().for_each(|counter| auditor.find(counter.finding()));
    if provider_known {
        let orphans = sqlx::query_scalar::<_, Uuid>(ORPHANED_CHARGES).fetch_all(&mut *payments).await;
        orphans.map_err(of_payment)?.into_iter().for_each(|charge| auditor.find(orphaned(charge)));
    }
    let mut report = auditor.finish();
    backlog::add_database(orders, Service::Order, grace, &mut report).await.map_err(of_order)?;
    backlog::add_database(payments, Service::Payment, grace, &mut report).await.map_err(of_payment)?;
    Ok(report)
}

async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // Ends with the connection: nothing is written.
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(connection).await?;
    Ok(())
}

async fn has_simulated_provider(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar::<_, bool>("SELECT to_regclass('provider_simulator.charges') IS NOT NULL")
        .fetch_one(connection)
        .await
}

/// Reads both databases side by side, in the order of the orders' ids.
async fn examine_every_order(databases: &mut Databases, auditor: &mut Auditor) -> Result<(), AuditError> {
    let (of_order, of_payment) = (AuditError::of(Service::Order), AuditError::of(Service::Payment));
    let orders = sqlx::query_as::<_, OrderRow>(ORDERS).fetch(&mut databases.orders);
    let payments = if auditor.judge().provider_known {
        sqlx::query_as::<_, PaymentRow>(PAYMENTS_WITH_CHARGES).fetch(&mut databases.payments)
    } else {
        sqlx::query_as::<_, PaymentRow>(PAYMENTS).fetch(&mut databases.payments)
    };
    let (mut orders, mut payments) = (orders.map_err(of_order), payments.map_err(of_payment));
    let mut order = orders.try_next().await?;
    let mut payment = payments.try_next().await?;
    loop {
        let ids = (order.as_ref().map(|row| row.id), payment.as_ref().map(|row| row.order_id));
        let (takes_order, takes_payment) = match ids {
            (None, None) => return Ok(()),
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(order), Some(payment)) => (order <= payment, payment <= order),
        };
        let (mut records, mut newer) = (SagaRecords::default(), 0);
        if takes_order && let Some(row) = order {
            records.order = row.record();
            newer += u64::from(records.order.is_none());
            order = orders.try_next().await?;
        }
        if takes_payment && let Some(row) = payment {
            match row.records() {
                Some((found, charge)) => (records.payment, records.charge) = (Some(found), charge),
                None => newer += 1,
            }
            payment = payments.try_next().await?;
        }
        // What is only half understood can't be judged.
        if newer > 0 { auditor.pass_over(newer) } else { auditor.examine(&records) }
    }
}

impl WrongCounter {
    fn finding(self) -> Finding {
        Finding::general("books-balance", format!("{}: {}", self.status, self.what))
    }
}

fn orphaned(charge: Uuid) -> Finding {
    Finding::general("one-charge", format!("the provider has a charge under {charge}, which is no payment"))
}
