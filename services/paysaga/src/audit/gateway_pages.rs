//! The gateway as the source of an audit: all pages of orders and payments.
//!
//! Sagas go on while the pages are read. So records that don't fit together are read once more, both sides at the same
//! time, before they count.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use contracts::books::judge::Verdict;
use contracts::books::records::{OrderRecord, PaymentRecord, SagaRecords};
use contracts::failed_message::{FailedMessageFilter, FailedMessageStatus};
use contracts::order::Order;
use contracts::page::Page;
use contracts::payment::Payment;
use contracts::refund::RefundStatus;
use contracts::topology::Service;
use contracts::{OrderId, Timestamp, Word};
use strum::ParseError;

use super::auditor::Auditor;
use super::report::Report;
use crate::gateway::{Gateway, GatewayError, Paging};

/// An order as the gateway passes it on: its status may be of a newer version.
type PassedOrder = Order<Word, Word>;

/// A payment as the gateway passes it on.
type PassedPayment = Payment<Word>;

/// So many of an order and its payment are of a newer version. What is only half understood can't be judged.
struct Newer(u64);

/// Audits what clients can see. What changed less than `grace` ago may still change.
pub async fn audit(gateway: &Gateway, grace: Duration) -> Result<Report, GatewayError> {
    // The payments first, so that every payment that is found has its order among the orders.
    let mut payments: HashMap<OrderId, PassedPayment> = HashMap::new();
    for page in 1.. {
        let Page { data, meta } = gateway.payments(Paging::largest(page)).await?;
        payments.extend(data.into_iter().map(|payment| (payment.order_id, payment)));
        if page >= meta.total_pages {
            break;
        }
    }
    let mut auditor = Auditor::new(grace, false, false);
    // New orders push others to a later page, where they are seen again.
    let mut seen = HashSet::new();
    for page in 1.. {
        let Page { data, meta } = gateway.orders(Paging::largest(page)).await?;
        for order in data {
            if seen.insert(order.id) {
                let payment = payments.remove(&order.id);
                examine(gateway, Some(order), payment, &mut auditor).await?;
            }
        }
        if page >= meta.total_pages {
            break;
        }
    }
    for (order, payment) in payments {
        if !seen.contains(&order) {
            examine(gateway, None, Some(payment), &mut auditor).await?;
        }
    }
    let mut report = auditor.finish();
    add_failed_messages(gateway, &mut report).await?;
    add_refused_refunds(gateway, &mut report).await?;
    Ok(report)
}

async fn examine(
    gateway: &Gateway,
    order: Option<PassedOrder>,
    payment: Option<PassedPayment>,
    auditor: &mut Auditor,
) -> Result<(), GatewayError> {
    let mut read = records(order.as_ref(), payment);
    if let Ok(found) = &read
        && let (Some(id), Verdict::Wrong(_)) = (found.order_id(), auditor.judge().judge(found))
    {
        let (order, payment) = tokio::try_join!(gateway.order(id), gateway.payment_of(id))?;
        read = records(order.as_ref(), payment);
    }
    match read {
        Ok(records) => auditor.examine(&records),
        Err(Newer(rows)) => auditor.pass_over(rows),
    }
    Ok(())
}

/// Adds the failed messages of both services to the report, if the caller may see them.
async fn add_failed_messages(gateway: &Gateway, report: &mut Report) -> Result<(), GatewayError> {
    let open = FailedMessageFilter { status: Some(FailedMessageStatus::Failed), ..Default::default() };
    for service in Service::WITH_DATABASE {
        match gateway.failed_messages(service, &open, Paging { page: 1, limit: 1 }).await {
            Ok(page) => report.add_failed_messages(service, page.meta.total),
            // The API key is not an operator's.
            Err(error) if error.status() == Some(403) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Adds the refunds that the provider refused to the report, if the caller may see them.
async fn add_refused_refunds(gateway: &Gateway, report: &mut Report) -> Result<(), GatewayError> {
    match gateway.refunds(Some(RefundStatus::Refused), Paging { page: 1, limit: 1 }).await {
        Ok(page) => report.add_refused_refunds(page.meta.total),
        // The API key is not an operator's.
        Err(error) if error.status() == Some(403) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn records(order: Option<&PassedOrder>, payment: Option<PassedPayment>) -> Result<SagaRecords, Newer> {
    let order = order.map(order_record).transpose();
    let payment = payment.map(payment_record).transpose();
    match (order, payment) {
        (Ok(order), Ok(payment)) => Ok(SagaRecords { order, payment, charge: None }),
        (order, payment) => Err(Newer(u64::from(order.is_err()) + u64::from(payment.is_err()))),
    }
}

fn order_record(order: &PassedOrder) -> Result<OrderRecord, ParseError> {
    Ok(OrderRecord {
        id: order.id,
        total: order.total,
        status: order.status.parse()?,
        age: age(order.updated_at),
        overdue: None,
    })
}

fn payment_record(payment: PassedPayment) -> Result<PaymentRecord, ParseError> {
    Ok(PaymentRecord {
        charge_forgotten: false,
        id: payment.id,
        order_id: payment.order_id,
        amount: payment.amount,
        status: payment.status.parse()?,
        next_step: None,
        attempts: payment.attempts,
        last_error: payment.last_error,
        refund_refusal: None,
        refund_reference: None,
        age: age(payment.updated_at),
        step_overdue: None,
    })
}

/// How long ago that was, by our clock.
fn age(since: Timestamp) -> Duration {
    (Timestamp::now().as_datetime() - since.as_datetime()).try_into().unwrap_or_default()
}
