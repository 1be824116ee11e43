//! Compares what both services have about some orders.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::books::Disagreement;
use contracts::books::exchange::{OrderRows, PaymentRows};
use contracts::books::judge::{Judge, Mismatch, Verdict};
use contracts::books::records::SagaRecords;
use contracts::{OrderId, Timestamp};

use super::services::{Failure, Services};
use super::settling::GRACE;

/// How late the payment service may be. An outage of the provider, or of the broker, is not the books' business before.
const PATIENCE: Duration = Duration::from_hours(1);

/// What was found about one order.
pub(super) struct Compared {
    pub(super) order_id: OrderId,
    pub(super) finding: Finding,
}

/// What records were found to be.
pub(super) enum Finding {
    /// They agree.
    Settled(SagaRecords),
    /// Something is still to happen.
    InFlight,
    /// They don't fit together.
    Wrong(SagaRecords, Box<Disagreement>),
    /// So many of them were written by a newer version.
    Newer(u64),
}

/// Records by their order, and whether the provider's are among them. `None` for those that were written by a newer version.
struct Read {
    records: BTreeMap<OrderId, Result<SagaRecords, Newer>>,
    judge: Judge,
}

/// So many rows were written by a newer version.
struct Newer(u64);

/// Compares these orders.
pub(super) async fn compare(services: &Services, orders: &[OrderId]) -> Result<Vec<Compared>, Failure> {
    let (rows, payments) = services.records_of(orders).await?;
    confirm(services, read(rows, payments)).await
}

/// Compares records that were read. Each side was read at another moment: what does not fit then is read once more before it
/// counts, when whatever came in between has become a fresh change.
pub(super) async fn judge(
    services: &Services,
    orders: OrderRows,
    payments: PaymentRows,
) -> Result<Vec<Compared>, Failure> {
    confirm(services, read(orders, payments)).await
}

async fn confirm(services: &Services, read_first: Read) -> Result<Vec<Compared>, Failure> {
    let mut found = read_first.found();
    let doubtful: Vec<OrderId> = found
        .iter()
        .filter(|compared| matches!(compared.finding, Finding::Wrong(..)))
        .map(|compared| compared.order_id)
        .collect();
    if doubtful.is_empty() {
        return Ok(found);
    }
    let (orders, payments) = services.records_of(&doubtful).await?;
    found.retain(|compared| !matches!(compared.finding, Finding::Wrong(..)));
    found.extend(read(orders, payments).found());
    Ok(found)
}

fn read(orders: OrderRows, PaymentRows { payments, provider_known }: PaymentRows) -> Read {
    let mut records: BTreeMap<OrderId, Result<SagaRecords, Newer>> = BTreeMap::new();
    for row in orders.orders {
        let id = row.id;
        let order = row.record().ok_or(Newer(1));
        records.insert(id, order.map(|order| SagaRecords { order: Some(order), ..SagaRecords::default() }));
    }
    for row in payments {
        let id = row.order_id;
        let known = records.entry(id).or_insert_with(|| Ok(SagaRecords::default()));
        match (known, row.records()) {
            (Ok(records), Some((payment, charge))) => {
                records.payment = Some(payment);
                records.charge = charge;
            }
            (Err(Newer(rows)), None) => *rows += 1,
            (known @ Ok(_), None) => *known = Err(Newer(1)),
            (Err(_), Some(_)) => {}
        }
    }
    Read { records, judge: Judge { grace: GRACE, patience: PATIENCE, provider_known } }
}

impl Read {
    fn found(self) -> Vec<Compared> {
        let Self { records, judge } = self;
        let found = records.into_iter().map(|(order_id, records)| {
            // What is only half understood can't be judged.
            let finding = match records {
                Err(Newer(rows)) => Finding::Newer(rows),
                Ok(records) => match judge.judge(&records) {
                    Verdict::Settled => Finding::Settled(records),
                    Verdict::InFlight => Finding::InFlight,
                    Verdict::Wrong(mismatch) => {
                        let disagreement = Box::new(disagreement(judge, order_id, &records, mismatch));
                        Finding::Wrong(records, disagreement)
                    }
                },
            };
            Compared { order_id, finding }
        });
        found.collect()
    }
}

fn disagreement(
    judge: Judge,
    order_id: OrderId,
    records: &SagaRecords,
    Mismatch { invariant, member, what }: Mismatch,
) -> Disagreement {
    let [order, payment, provider] = judge.values(records, member);
    Disagreement {
        invariant: invariant.to_owned(),
        order_id: Some(order_id),
        member: member.to_string(),
        order,
        payment,
        provider,
        what,
        since: Timestamp::now(),
    }
}
