//! The test oracle: waits until everything is at rest, and counts what must not be.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chassis::broker::BrokerUrl;
use contracts::topology::Service;
use contracts::{OrderId, OrderStatus};
use paysaga::audit::databases::{self, Databases};
use paysaga::audit::{Finding, Report, backlog, trail};
use uuid::Uuid;

use super::load::{CustomerRecords, Load};
use super::rig::Rig;

const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Findings of these invariants are about money that was taken and should not have been.
const MONEY: [&str; 4] = ["one-charge", "no-gift", "no-money-held", "books-balance"];

/// More than one charge for one order. The order's id is the key of its payment, so each table would have to lose its
/// own constraint first.
const CHARGED_TWICE: &str = "
    SELECT count(*) FROM (
        SELECT order_id FROM payments JOIN provider_simulator.charges ON payment_id = payments.id
        WHERE outcome = 'APPROVED' GROUP BY order_id HAVING count(*) > 1
    ) AS charged_twice";

/// The result of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Orders that were accepted.
    pub accepted: u64,
    /// Of those, orders that have settled.
    pub settled: u64,
    /// Accepted orders that do not exist, and accepted cancellations that did not happen.
    pub lost: u64,
    /// Orders that were charged twice, keys with two orders, money that is held for no paid order.
    pub double_charged: u64,
    /// Orders, messages and rows that were not at rest in time.
    pub stuck: u64,
    /// From the end of the fault until everything was at rest.
    pub recovery: Option<Duration>,
    /// Numbers that belong to this fault.
    pub notes: Vec<String>,
    /// Whatever else must not happen.
    pub violations: Vec<String>,
}

impl Outcome {
    /// Whether nothing happened that must not.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.lost + self.double_charged + self.stuck == 0 && self.violations.is_empty()
    }

    /// Adds a number that belongs to this fault.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a violation, unless `holds`.
    #[must_use]
    pub fn expect(mut self, holds: bool, violation: impl Into<String>) -> Self {
        if !holds {
            self.violations.push(violation.into());
        }
        self
    }
}

/// The state of everything at one moment.
struct Snapshot {
    report: Report,
    orders: HashMap<OrderId, OrderStatus>,
    charged_twice: u64,
    /// Failed messages that the scenario itself caused.
    expected_failures: u64,
}

impl Rig<'_> {
    /// Ends a scenario in the usual way: the fault is over, twenty more orders are accepted, and all of them are judged.
    pub async fn judge_recovery(&mut self, load: Load) -> Outcome {
        self.fault_is_over();
        load.wait_for_orders(20).await;
        let records = load.stop().await;
        self.judge(records).await
    }

    /// Waits until all is at rest, stops the services, and judges.
    pub async fn judge(&mut self, records: CustomerRecords) -> Outcome {
        self.judge_with(records, 0).await
    }

    /// Like [`Rig::judge`], for a scenario that made this many messages fail.
    pub async fn judge_with(&mut self, records: CustomerRecords, expected_failures: u64) -> Outcome {
        let recovery = self.wait_until_at_rest(&records, expected_failures).await;
        // What a consumer still held is back in its queue now, and is counted.
        let violations = self.stop().await;
        let snapshot = self.snapshot(expected_failures).await.expect("the servers answer at the end");
        let mut outcome = snapshot.count(&records);
        outcome.recovery = recovery;
        let refusals: Vec<_> =
            records.refusals.iter().map(|(what, count)| format!("{what} × {count}")).collect();
        if !refusals.is_empty() {
            outcome.notes.push(format!("tried again after {}", refusals.join(", ")));
        }
        outcome.violations.extend(records.violations.iter().cloned());
        outcome.violations.extend(violations);
        outcome
    }

    /// Waits until all is at rest, and returns how long after the fault that was; `None` if not in time.
    pub async fn wait_until_at_rest(
        &mut self,
        records: &CustomerRecords,
        expected_failures: u64,
    ) -> Option<Duration> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let snapshot = self.snapshot(expected_failures).await;
            if snapshot.as_ref().is_ok_and(|snapshot| snapshot.is_at_rest(records)) {
                return Some(self.since_fault());
            }
            if Instant::now() > deadline {
                if let Err(error) = snapshot {
                    eprintln!("    the oracle cannot read the state: {error}");
                }
                return None;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn snapshot(&mut self, expected_failures: u64) -> Result<Snapshot, String> {
        let mut databases = Databases {
            orders: self.database(Service::Order).await.map_err(|error| error.to_string())?,
            payments: self.database(Service::Payment).await.map_err(|error| error.to_string())?,
        };
        let mut report =
            databases::audit(&mut databases, Duration::ZERO).await.map_err(|error| error.to_string())?;
        let followed = trail::add_trail(&mut databases.orders, &[], &mut report).await;
        followed.map_err(|error| error.to_string())?;
        let broker: BrokerUrl = self.broker_url(false).parse()?;
        backlog::add_queues(&broker, Duration::ZERO, &mut report).await?;
        let statuses = sqlx::query_as::<_, (Uuid, String)>("SELECT id, status FROM orders")
            .fetch_all(&mut databases.orders)
            .await
            .map_err(|error| error.to_string())?;
        let orders = statuses
            .into_iter()
            .map(|(id, status)| {
                let status = status.parse().map_err(|_| format!("{status} is no status"))?;
                Ok((id.into(), status))
            })
            .collect::<Result<_, String>>()?;
        let charged_twice = sqlx::query_scalar::<_, i64>(CHARGED_TWICE)
            .fetch_one(&mut databases.payments)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Snapshot { report, orders, charged_twice: charged_twice.unsigned_abs(), expected_failures })
    }
}

impl Snapshot {
    fn is_at_rest(&self, records: &CustomerRecords) -> bool {
        let outcome = self.count(records);
        self.report.in_flight == 0 && outcome.is_good()
    }

    fn count(&self, records: &CustomerRecords) -> Outcome {
        let status = |id| self.orders.get(id).copied();
        let missing = records.placed.iter().filter(|placed| status(&placed.id).is_none()).count() as u64;
        let not_cancelled = records
            .placed
            .iter()
            .filter(|placed| placed.cancelled && status(&placed.id) == Some(OrderStatus::Paid));
        let settled = records
            .placed
            .iter()
            .filter(|placed| status(&placed.id).is_some_and(|status| status != OrderStatus::PendingPayment));
        let mut outcome = Outcome {
            accepted: records.placed.len() as u64,
            settled: settled.count() as u64,
            lost: missing + not_cancelled.count() as u64,
            double_charged: self.charged_twice + records.keys_with_two_orders,
            ..Outcome::default()
        };
        // Every order belongs to a key, and every key was sent until it was accepted.
        let known = outcome.accepted - missing;
        outcome.double_charged += (self.orders.len() as u64).saturating_sub(known);
        for finding in self.report.findings.iter().filter(|finding| !self.is_expected(finding)) {
            if MONEY.contains(&finding.invariant) {
                outcome.double_charged += 1;
            } else {
                outcome.stuck += 1;
            }
            if outcome.notes.len() < 10 {
                outcome.notes.push(format!("{}: {}", finding.invariant, finding.what));
            }
        }
        let failed = self.report.failed_messages.unwrap_or_default();
        if failed < self.expected_failures {
            let missing = self.expected_failures - failed;
            outcome
                .violations
                .push(format!("{missing} of the poison messages are not among the failed ones"));
        }
        outcome
    }

    /// The only finding that a scenario may bring about: failed messages, exactly as many as it sent.
    fn is_expected(&self, finding: &Finding) -> bool {
        self.expected_failures > 0
            && finding.invariant == "no-dead-letters"
            && finding.what.contains("failed messages")
            && self.report.failed_messages == Some(self.expected_failures)
    }
}
