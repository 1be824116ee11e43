//! Totals whose cents tell the simulated payment provider what to do.

use clap::ValueEnum;
use contracts::Money;
use contracts::money::InvalidMoney;

/// What the simulated provider does with a charge because of its cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ForcedOutcome {
    /// .01: takes the money.
    Approved,
    /// .02: refuses.
    Declined,
    /// .03: can't carry it out.
    Failed,
    /// .04: takes the money, but its answer never arrives.
    AnswerLost,
    /// .05: takes the money after 5 s.
    Slow,
    /// .06: takes the money, and refuses to give it back.
    RefundRefused,
    /// .07: takes the money, and refuses to give it back for 10 s from when it is asked first.
    RefundRefusedAtFirst,
}

impl ForcedOutcome {
    /// A total of so many units and the cents that force the outcome. It is an amount whatever the units are.
    pub fn total(self, units: u32) -> Result<Money, InvalidMoney> {
        let cents = match self {
            Self::Approved => 1,
            Self::Declined => 2,
            Self::Failed => 3,
            Self::AnswerLost => 4,
            Self::Slow => 5,
            Self::RefundRefused => 6,
            Self::RefundRefusedAtFirst => 7,
        };
        format!("{units}.{cents:02}").parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cents_are_those_the_simulator_knows() {
        for (outcome, cents) in ForcedOutcome::value_variants().iter().zip(1..) {
            assert_eq!(outcome.total(0).unwrap().cents(), cents);
            assert_eq!(outcome.total(u32::MAX).unwrap().cents(), cents);
        }
    }
}
