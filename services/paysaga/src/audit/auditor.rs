//! Judges the records of one order after the other, and adds up.

use std::time::Duration;

use contracts::books::judge::{Judge, Mismatch, Verdict};
use contracts::books::records::SagaRecords;
use contracts::{Money, MoneyTotal, OrderStatus};

use super::report::{Finding, Report};

/// Most findings that are kept; a system with more than that needs no longer list.
const MAX_FINDINGS: usize = 1000;

/// An audit under way.
#[derive(Debug)]
pub struct Auditor {
    judge: Judge,
    report: Report,
}

impl Auditor {
    /// Begins an audit of records that tell which refunds were refused, if `refunds_known`. What changed less than `grace` ago
    /// may still change.
    #[must_use]
    pub fn new(grace: Duration, provider_known: bool, refunds_known: bool) -> Self {
        let held = provider_known.then_some(MoneyTotal::ZERO);
        let refused_refunds = refunds_known.then_some(0);
        let report = Report { held, refused_refunds, ..Report::default() };
        Self { judge: Judge { grace, patience: grace, provider_known }, report }
    }

    /// What the records are judged by.
    #[must_use]
    pub fn judge(&self) -> Judge {
        self.judge
    }

    /// Adds the records of one order.
    pub fn examine(&mut self, records: &SagaRecords) {
        if let Some(order) = &records.order {
            self.report.orders += 1;
            if order.status == OrderStatus::Paid {
                self.report.paid = self.add(self.report.paid, order.total);
            }
        }
        if let (Some(held), Some(charge)) =
            (self.report.held, records.charge.as_ref().filter(|_| records.money_is_held()))
        {
            self.report.held = Some(self.add(held, charge.amount));
        }
        if let Some(refused) = &mut self.report.refused_refunds
            && records.payment.as_ref().is_some_and(|payment| payment.refund_refusal.is_some())
        {
            *refused += 1;
        }
        match self.judge.judge(records) {
            Verdict::Settled => self.report.settled += 1,
            Verdict::InFlight => self.report.in_flight += 1,
            Verdict::Wrong(Mismatch { invariant, what, .. }) => {
                self.find(Finding { invariant, order_id: records.order_id(), what });
            }
        }
    }

    /// Counts rows of a newer version. They are not judged.
    pub fn pass_over(&mut self, rows: u64) {
        self.report.newer_rows += rows;
    }

    /// Adds a finding.
    pub fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < MAX_FINDINGS {
            self.report.findings.push(finding);
        }
    }

    /// Ends the audit. The sums are compared unless something is in flight or not understood: they need not agree then.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let paid = self.report.paid;
        if let Some(held) = self.report.held.filter(|held| *held != paid)
            && self.report.in_flight == 0
            && self.report.newer_rows == 0
        {
            let what = format!("{paid} is PAID, the provider holds {held}");
            self.find(Finding::general("books-balance", what));
        }
        self.report
    }

    fn add(&mut self, sum: MoneyTotal, amount: Money) -> MoneyTotal {
        sum.checked_add(amount).unwrap_or_else(|| {
            self.find(Finding::general("books-balance", "the sum does not fit into 28 digits"));
            sum
        })
    }
}
