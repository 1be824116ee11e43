//! What the simulated provider does with a charge: a function of its seed and the payment id.

use std::ops::RangeInclusive;
use std::time::Duration;

use chassis::config::{Environment, Problems};
use contracts::{Money, PaymentId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use strum::EnumString;

use crate::provider::Charge;

chassis::variables! {
    /// The simulated payment provider.
    pub struct SimulatorVariables {
        /// How long the simulated provider takes to answer, in milliseconds: a number, or a range such as `50-500`.
        provider_latency_ms = "100",
        /// The share of charges that the simulated provider approves, 0 to 1. Of the others it declines three out of four, and fails one. Totals that end in .01 to .07 force: approved, declined, failed, answer lost, slow (5 seconds), refund refused, refund refused for 10 seconds.
        provider_approval_rate = "1",
        /// With another seed the simulated provider decides otherwise.
        provider_seed = "0",
    }
}

/// A year.
const LONGER_THAN_ANYONE_TRIES: Duration = Duration::from_hours(365 * 24);

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

    pub(super) fn decide(&self, payment: PaymentId, amount: Money) -> Decision {
        let outcome = match amount.cents() {
            1 | 4..=7 => Outcome::Approved,
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
    pub(super) fn draw_latency(&self, payment: PaymentId) -> u64 {
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

/// How long, from when it is asked first, the simulated provider refuses to give the money of a charge back.
pub(super) fn refuses_refund_for(amount: Money) -> Duration {
    match amount.cents() {
        6 => LONGER_THAN_ANYONE_TRIES,
        7 => Duration::from_secs(10),
        _ => Duration::ZERO,
    }
}

/// What the simulated provider does with a charge.
pub(super) struct Decision {
    pub(super) outcome: Outcome,
    pub(super) latency: Duration,
    pub(super) answer_is_lost: bool,
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, Serialize)]
#[strum(serialize_all = "UPPERCASE")]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Outcome {
    Approved,
    Declined,
    Failed,
}

impl Outcome {
    pub(super) fn into_charge(self, transaction_id: String) -> Charge {
        match self {
            Self::Approved => Charge::Approved { transaction_id },
            Self::Declined => Charge::Declined { transaction_id, reason: "insufficient funds".to_owned() },
            Self::Failed => Charge::Failed { error: "the card network is not available".to_owned() },
        }
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
        assert_eq!([decide("10.06").outcome, decide("10.07").outcome], [Outcome::Approved; 2]);
        let refuses_for = |total: &str| refuses_refund_for(total.parse().unwrap()).as_secs();
        assert_eq!(["10.01", "10.06", "10.07"].map(refuses_for), [0, 365 * 24 * 3600, 10]);
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
