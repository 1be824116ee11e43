//! A payment provider that moves no money.
//!
//! It keeps books of its own (the schema `provider_simulator`), so that it remembers its charges as a company elsewhere
//! would, whatever happens to the payment service. What it answers is a function of its seed and the payment id.

use std::ops::RangeInclusive;
use std::time::Duration;

use chassis::config::{Environment, Problems};
use chassis::tasks::Tasks;
use contracts::{Money, PaymentId};
use sha2::{Digest, Sha256};
use sqlx::{PgPool, Row};
use tokio::sync::oneshot;
use tracing::warn;

use super::{Charge, PaymentProvider, Unanswered};

chassis::variables! {
    /// The simulated payment provider.
    pub struct SimulatorVariables {
        /// How long the simulated provider takes to answer, in milliseconds: a number, or a range such as `50-500`.
        provider_latency_ms = "100",
        /// The share of charges that the simulated provider approves, 0 to 1. Of the others it declines three out of four, and fails one. Totals that end in .01, .02, .03, .04 and .05 force: approved, declined, failed, answer lost, slow (5 seconds).
        provider_approval_rate = "1",
        /// With another seed the simulated provider decides otherwise.
        provider_seed = "0",
    }
}

/// How the simulated provider behaves.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    latency_ms: RangeInclusive<u64>,
    approval_rate: f64,
    seed: u64,
}

impl SimulatorConfig {
    /// Reads [`SimulatorVariables`].
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: SimulatorVariables = environment.read(problems)?;
        let latency_ms = variables.provider_latency_ms().parse_with(problems, |text| {
            let (low, high) = text.split_once('-').unwrap_or((text, text));
            match (low.trim().parse(), high.trim().parse()) {
                (Ok(low), Ok(high)) if low <= high => Ok(low..=high),
                _ => Err("must be a number of milliseconds, or a range such as 50-500".to_owned()),
            }
        });
        let approval_rate = variables.provider_approval_rate().parse_with(problems, |text| {
            let rate = text.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
            rate.ok_or_else(|| "must be a number from 0 to 1".to_owned())
        });
        let seed = variables.provider_seed().parse(problems);
        Some(Self { latency_ms: latency_ms?, approval_rate: approval_rate?, seed: seed? })
    }

    fn decide(&self, payment: PaymentId, amount: Money) -> Decision {
        let outcome = match amount.cents() {
            1 | 4 | 5 => Outcome::Approved,
            2 => Outcome::Declined,
            3 => Outcome::Failed,
            _ => self.draw_outcome(payment),
        };
        let latency = match amount.cents() {
            5 => Duration::from_secs(5),
            _ => Duration::from_millis(self.draw_latency(payment)),
        };
        Decision { outcome, latency, answer_is_lost: amount.cents() == 4 }
    }

    fn draw_outcome(&self, payment: PaymentId) -> Outcome {
        let drawn = self.draw(payment, "outcome");
        if drawn < self.approval_rate {
            Outcome::Approved
        } else if drawn < self.approval_rate + (1.0 - self.approval_rate) * 0.75 {
            Outcome::Declined
        } else {
            Outcome::Failed
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds, drawn at random"
    )]
    fn draw_latency(&self, payment: PaymentId) -> u64 {
        let (low, high) = (*self.latency_ms.start(), *self.latency_ms.end());
        low + (self.draw(payment, "latency") * (high - low + 1) as f64) as u64
    }

    /// A number from 0 (inclusive) to 1 (exclusive) that depends on the seed and the payment alone.
    fn draw(&self, payment: PaymentId, what: &str) -> f64 {
        let digest = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(payment.as_uuid().as_bytes())
            .chain_update(what)
            .finalize();
        let first = digest.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte));
        f64::from(first) / (f64::from(u32::MAX) + 1.0)
    }
}

struct Decision {
    outcome: Outcome,
    latency: Duration,
    answer_is_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE")]
enum Outcome {
    Approved,
    Declined,
    Failed,
}

impl Outcome {
    fn into_charge(self, transaction_id: String) -> Charge {
        match self {
            Self::Approved => Charge::Approved { transaction_id },
            Self::Declined => Charge::Declined { transaction_id, reason: "insufficient funds".to_owned() },
            Self::Failed => Charge::Failed { error: "the card network is not available".to_owned() },
        }
    }
}

/// The simulated provider.
pub struct Simulator {
    config: SimulatorConfig,
    books: Books,
    /// The provider's own work. It goes on when a caller stops waiting for its answer, as it would elsewhere.
    tasks: Tasks,
}

impl Simulator {
    /// A provider whose books are kept through `pool`, on disk before it answers: the payment service may hold an
    /// answer in memory while PostgreSQL crashes, and write it down afterwards.
    #[must_use]
    pub const fn new(config: SimulatorConfig, pool: PgPool, tasks: Tasks) -> Self {
        Self { config, books: Books(pool), tasks }
    }

    /// Carries work out as somebody else would: unaffected by a caller that gives up.
    async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.tasks.spawn(async move {
            let result = work.await;
            if let Err(error) = &result {
                warn!(%error, "the simulated provider's books can't be used");
            }
            // Nobody waits any more: the answer is lost, what was done stays done.
            answer.send(result).ok();
        });
        match answered.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Unanswered(error.to_string())),
            Err(_) => Err(Unanswered("the provider was stopped".to_owned())),
        }
    }
}

impl PaymentProvider for Simulator {
    async fn charge(&self, payment: PaymentId, amount: Money) -> Result<Charge, Unanswered> {
        let decision = self.config.decide(payment, amount);
        let books = self.books.clone();
        let (charge, is_new) = self
            .elsewhere(async move {
                // Half of the time passes before the money moves, half after it: a crash meets both.
                tokio::time::sleep(decision.latency / 2).await;
                let recorded = books.record(payment, amount, decision.outcome).await?;
                tokio::time::sleep(decision.latency / 2).await;
                Ok(recorded)
            })
            .await?;
        if decision.answer_is_lost && is_new {
            std::future::pending::<()>().await;
        }
        Ok(charge)
    }

    async fn refund(&self, payment: PaymentId) -> Result<(), Unanswered> {
        let latency = Duration::from_millis(self.config.draw_latency(payment));
        let books = self.books.clone();
        let refunded = self
            .elsewhere(async move {
                tokio::time::sleep(latency / 2).await;
                let refunded = books.refund(payment).await?;
                tokio::time::sleep(latency / 2).await;
                Ok(refunded)
            })
            .await?;
        if refunded { Ok(()) } else { Err(Unanswered("there is no approved charge to refund".to_owned())) }
    }

    async fn lookup(&self, payment: PaymentId) -> Result<Option<Charge>, Unanswered> {
        let books = self.books.clone();
        self.elsewhere(async move { books.find(payment).await }).await
    }
}

/// What the provider remembers.
#[derive(Clone)]
struct Books(PgPool);

impl Books {
    /// Writes a charge down unless there is one under this key; returns the one that is there, and whether it is new.
    async fn record(
        &self,
        payment: PaymentId,
        amount: Money,
        outcome: Outcome,
    ) -> Result<(Charge, bool), sqlx::Error> {
        let transaction_id = format!("sim_{}", payment.as_uuid().simple());
        let inserted = sqlx::query(
            "INSERT INTO provider_simulator.charges (payment_id, amount, outcome, transaction_id)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (payment_id) DO NOTHING",
        )
        .bind(payment.as_uuid())
        .bind(amount.as_decimal())
        .bind(<&str>::from(outcome))
        .bind(&transaction_id)
        .execute(&self.0)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok((outcome.into_charge(transaction_id), true));
        }
        let charge = self.find(payment).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok((charge, false))
    }

    async fn find(&self, payment: PaymentId) -> Result<Option<Charge>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT outcome, transaction_id FROM provider_simulator.charges WHERE payment_id = $1",
        )
        .bind(payment.as_uuid())
        .fetch_optional(&self.0)
        .await?;
        row.map(|row| {
            let outcome: Outcome = chassis::database::decode(row.try_get::<&str, _>("outcome")?.parse())?;
            Ok(outcome.into_charge(row.try_get("transaction_id")?))
        })
        .transpose()
    }

    /// Gives the money back, once. Returns whether there was any to give back.
    async fn refund(&self, payment: PaymentId) -> Result<bool, sqlx::Error> {
        let refunded = sqlx::query(
            "UPDATE provider_simulator.charges
             SET refunded_at = coalesce(refunded_at, now())
             WHERE payment_id = $1 AND outcome = 'APPROVED'",
        )
        .bind(payment.as_uuid())
        .execute(&self.0)
        .await?;
        Ok(refunded.rows_affected() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn config(approval_rate: f64, seed: u64) -> SimulatorConfig {
        SimulatorConfig { latency_ms: 50..=500, approval_rate, seed }
    }

    fn payment(number: u128) -> PaymentId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn the_cents_force_the_outcome() {
        let decide = |total: &str| config(0.0, 0).decide(payment(1), total.parse().unwrap());
        assert_eq!(decide("10.01").outcome, Outcome::Approved);
        assert_eq!(decide("10.02").outcome, Outcome::Declined);
        assert_eq!(decide("10.03").outcome, Outcome::Failed);
        assert!(decide("10.04").answer_is_lost && decide("10.04").outcome == Outcome::Approved);
        assert_eq!(decide("10.05").latency, Duration::from_secs(5));
        assert!(!decide("10.40").answer_is_lost);
    }

    #[test]
    fn the_outcome_is_a_function_of_seed_and_payment() {
        let outcomes =
            |seed| (0..1000).map(|n| config(0.7, seed).draw_outcome(payment(n))).collect::<Vec<_>>();
        assert_eq!(outcomes(1), outcomes(1));
        assert_ne!(outcomes(1), outcomes(2));
        let approved = outcomes(1).iter().filter(|outcome| **outcome == Outcome::Approved).count();
        assert!((640..=760).contains(&approved), "{approved} of 1000 approved at a rate of 0.7");
    }

    #[test]
    fn the_latency_keeps_to_its_range() {
        let latencies: Vec<_> = (0..1000).map(|n| config(1.0, 0).draw_latency(payment(n))).collect();
        assert!(latencies.iter().all(|latency| (50..=500).contains(latency)));
        assert!(
            latencies.iter().any(|latency| *latency < 100) && latencies.iter().any(|latency| *latency > 450)
        );
    }
}
