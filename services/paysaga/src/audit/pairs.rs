//! Orders, payments and charges, put together by order.

use std::time::Duration;

use contracts::{MoneyTotal, OrderStatus};

use super::judge::{Pair, Verdict, judge};
use super::report::{Finding, Report};

/// Most findings that are kept; a system that is that wrong needs no longer list.
const MAX_FINDINGS: usize = 1000;

/// Judges pairs one after the other and keeps the books of all of them.
#[derive(Debug)]
pub struct Examiner {
    grace: Duration,
    report: Report,
    provider_known: bool,
}

impl Examiner {
    /// Begins an audit. What changed less than `grace` ago may still be on its way.
    #[must_use]
    pub fn new(grace: Duration, provider_known: bool) -> Self {
        let held = provider_known.then_some(MoneyTotal::ZERO);
        Self { grace, report: Report { held, ..Report::default() }, provider_known }
    }

    /// Looks at one pair.
    pub fn examine(&mut self, mut pair: Pair) {
        pair.provider_known = self.provider_known;
        if let Some(order) = &pair.order {
            self.report.orders += 1;
            if order.status == OrderStatus::Paid {
                self.report.paid = self.add(self.report.paid, order.total);
            }
        }
        if let (Some(held), Some(charge)) =
            (self.report.held, pair.charge.as_ref().filter(|charge| charge.holds_money()))
        {
            self.report.held = Some(self.add(held, charge.amount));
        }
        match judge(&pair, self.grace) {
            Verdict::Settled => self.report.settled += 1,
            Verdict::InFlight => self.report.in_flight += 1,
            Verdict::Wrong(finding) => self.find(finding),
        }
    }

    /// Notes something that is wrong.
    pub fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < MAX_FINDINGS {
            self.report.findings.push(finding);
        }
    }

    /// The books, closed. What is in flight may not balance yet.
    #[must_use]
    pub fn close(mut self) -> Report {
        if let Some(held) = self.report.held.filter(|held| *held != self.report.paid)
            && self.report.in_flight == 0
        {
            let paid = self.report.paid;
            self.find(Finding::general(
                "books-balance",
                format!("{paid} is PAID, the provider holds {held}"),
            ));
        }
        self.report
    }

    fn add(&mut self, sum: MoneyTotal, amount: contracts::Money) -> MoneyTotal {
        sum.checked_add(amount).unwrap_or_else(|| {
            self.find(Finding::general("books-balance", "the sum does not fit into 28 digits"));
            sum
        })
    }
}
