//! The judge: waits until everything has come to its end, and counts what must not be.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chassis::broker::BrokerUrl;
use contracts::topology::Service;
use contracts::{OrderId, OrderStatus};
use paysaga::audit::databases::{self, Databases};
use paysaga::audit::{Finding, Report, backlog};
use uuid::Uuid;

use super::load::{Book, Load};
use super::rig::Rig;

const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Findings of these invariants are about money that was taken and should not have been.
const MONEY: [&str; 4] = ["one-charge", "no-gift", "no-money-held", "books-balance"];

/// More than one charge for one order. The order's id is the key of its payment, so each table would have to lose its
/// own constraint first.
const CHARGED_TWICE: &str = "
    SELECT count(*) FROM (
        SELECT order_id FROM payments JOIN provider_simulator.charges ON payment_id = payments.id
        WHERE outcome = 'APPROVED' GROUP BY order_id HAVING count(*) > 1
    ) AS charged_twice";

/// What a scenario came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Orders that were accepted.
    pub accepted: u64,
    /// Of those, orders whose saga has ended.
    pub settled: u64,
    /// Accepted orders that do not exist, and accepted cancellations that did not happen.
    pub lost: u64,
    /// Orders that were charged twice, keys with two orders, money that is held for no paid order.
    pub double_charged: u64,
    /// Orders, messages and rows that were not at rest when patience ended.
    pub stuck: u64,
    /// From the end of the fault until everything was at rest.
    pub recovery: Option<Duration>,
    /// What was observed beyond that: numbers that belong to this fault.
    pub notes: Vec<String>,
    /// What else was not as it should be.
    pub complaints: Vec<String>,
}

impl Outcome {
    /// Whether nothing happened that must not.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.lost + self.double_charged + self.stuck == 0 && self.complaints.is_empty()
    }

    /// With a number that belongs to this fault.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// With a complaint, unless `holds`.
    #[must_use]
    pub fn expect(mut self, holds: bool, complaint: impl Into<String>) -> Self {
        if !holds {
            self.complaints.push(complaint.into());
        }
        self
    }
}

/// Everything there is to see at one moment.
struct Look {
    report: Report,
    orders: HashMap<OrderId, OrderStatus>,
    charged_twice: u64,
    /// Failed messages that the scenario itself brought about.
    expected_failures: u64,
}

impl Rig<'_> {
    /// Ends a scenario in the usual way: the fault is over, twenty more orders are accepted, and all of them are judged.
    pub async fn recovers(&mut self, load: Load) -> Outcome {
        self.fault_is_over();
        load.more(20).await;
        let book = load.stop().await;
        self.judge(book).await
    }

    /// Waits until all is at rest, stops the services, and judges.
    pub async fn judge(&mut self, book: Book) -> Outcome {
        self.judge_with(book, 0).await
    }

    /// Like [`Rig::judge`], for a scenario that made this many messages fail.
    pub async fn judge_with(&mut self, book: Book, expected_failures: u64) -> Outcome {
        let recovery = self.rests(&book, expected_failures).await;
        // What a consumer still held would go back to its queue now, and be seen.
        let complaints = self.stop().await;
        let look = self.look(expected_failures).await.expect("the servers answer at the end");
        let mut outcome = look.count(&book);
        outcome.recovery = recovery;
        let refusals: Vec<_> =
            book.refusals.iter().map(|(what, count)| format!("{what} × {count}")).collect();
        if !refusals.is_empty() {
            outcome.notes.push(format!("tried again after {}", refusals.join(", ")));
        }
        outcome.complaints.extend(book.complaints.iter().cloned());
        outcome.complaints.extend(complaints);
        outcome
    }

    /// Waits until all is at rest, and says how long after the fault that was; not at all if patience ended first.
    pub async fn rests(&mut self, book: &Book, expected_failures: u64) -> Option<Duration> {
        let deadline = Instant::now() + self.patience;
        loop {
            let seen = self.look(expected_failures).await;
            if seen.as_ref().is_ok_and(|look| look.is_at_rest(book)) {
                return Some(self.since_fault());
            }
            if Instant::now() > deadline {
                if let Err(error) = seen {
                    eprintln!("    the oracle sees nothing: {error}");
                }
                return None;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn look(&mut self, expected_failures: u64) -> Result<Look, String> {
        let mut databases = Databases {
            orders: self.database(Service::Order).await.map_err(|error| error.to_string())?,
            payments: self.database(Service::Payment).await.map_err(|error| error.to_string())?,
        };
        let mut report =
            databases::audit(&mut databases, Duration::ZERO).await.map_err(|error| error.to_string())?;
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
        Ok(Look { report, orders, charged_twice: charged_twice.unsigned_abs(), expected_failures })
    }
}

impl Look {
    fn is_at_rest(&self, book: &Book) -> bool {
        let outcome = self.count(book);
        self.report.in_flight == 0 && outcome.is_good()
    }

    fn count(&self, book: &Book) -> Outcome {
        let status = |id| self.orders.get(id).copied();
        let missing = book.placed.iter().filter(|placed| status(&placed.id).is_none()).count() as u64;
        let not_cancelled = book
            .placed
            .iter()
            .filter(|placed| placed.cancelled && status(&placed.id) == Some(OrderStatus::Paid));
        let settled = book
            .placed
            .iter()
            .filter(|placed| status(&placed.id).is_some_and(|status| status != OrderStatus::PendingPayment));
        let mut outcome = Outcome {
            accepted: book.placed.len() as u64,
            settled: settled.count() as u64,
            lost: missing + not_cancelled.count() as u64,
            double_charged: self.charged_twice + book.keys_with_two_orders,
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
                .complaints
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
