//! Whether the stack's own totals grew by exactly what was sent.

use contracts::{MoneyTotal, OrderStatus, PaymentStatus};

use super::load::Sent;
use super::settlement::Settlement;
use super::totals::Totals;

/// The totals before the first order was sent and after the last settled.
pub(super) struct Growth {
    pub(super) before: Totals,
    pub(super) after: Totals,
}

/// The stack's own totals contradict what was sent, although there were no other orders.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stack's totals are wrong: {what} should have grown by {expected}, and grew by {found}")]
pub struct WrongTotals {
    what: String,
    expected: String,
    found: String,
}

impl Growth {
    /// Compares with what was sent. `Ok(false)` means that this can't be done: others placed orders too, or a request
    /// without a clear answer was accepted after all.
    pub(super) fn is_what_was_sent(&self, sent: &Sent, settlement: &Settlement) -> Result<bool, WrongTotals> {
        let Self { before, after } = self;
        if after.orders_since(before) != sent.accepted.len() as u64 {
            return Ok(false);
        }
        for (payment, order) in [
            (PaymentStatus::Approved, OrderStatus::Paid),
            (PaymentStatus::Declined, OrderStatus::Cancelled),
            (PaymentStatus::Failed, OrderStatus::Failed),
        ] {
            let grown = after.payments_of(payment).saturating_sub(before.payments_of(payment));
            let settled = settlement.statuses.get(&order).copied().unwrap_or_default();
            if grown != settled {
                return Err(WrongTotals {
                    what: format!("payments that are {payment}"),
                    expected: settled.to_string(),
                    found: grown.to_string(),
                });
            }
        }
        let expected = sent.amount.zip(before.amount()).and_then(|(sent, before)| before.checked_add(sent));
        if expected != after.amount() {
            return Err(WrongTotals {
                what: format!("the amount of all payments, {},", show(before.amount())),
                expected: show(sent.amount),
                found: format!("what makes it {}", show(after.amount())),
            });
        }
        Ok(true)
    }
}

fn show(amount: Option<MoneyTotal>) -> String {
    amount.map_or_else(|| "?".to_owned(), |amount| amount.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::time::Duration;

    use contracts::OrderId;
    use contracts::payment::{PaymentStats, StatusStats};
    use tokio::time::Instant;

    use super::*;

    const APPROVED: PaymentStatus = PaymentStatus::Approved;
    const DECLINED: PaymentStatus = PaymentStatus::Declined;

    fn totals(orders: u64, payments: &[(PaymentStatus, u64, &str)]) -> Totals {
        let stats = payments.iter().map(|&(status, count, amount)| StatusStats {
            status: status.to_string(),
            count,
            total_amount: serde_json::from_str(amount).unwrap(),
        });
        Totals { orders, payments: PaymentStats { by_status: stats.collect() } }
    }

    fn sent(orders: usize, amount: &str) -> Sent {
        Sent {
            began: Instant::now(),
            took: Duration::ZERO,
            accepted: (0..orders).map(|_| OrderId::new()).collect(),
            amount: Some(serde_json::from_str(amount).unwrap()),
            latencies: Vec::new(),
            refused: 0,
            errors: BTreeMap::new(),
            first_error: None,
        }
    }

    fn settlement(statuses: &[(OrderStatus, u64)]) -> Settlement {
        let statuses: HashMap<_, _> = statuses.iter().copied().collect();
        Settlement { took: Duration::ZERO, late: Duration::ZERO, statuses }
    }

    #[test]
    fn totals_are_right_to_the_cent_or_wrong() {
        let settlement = settlement(&[(OrderStatus::Paid, 2), (OrderStatus::Cancelled, 1)]);
        let check = |after: &[_]| {
            let growth = Growth { before: totals(10, &[(APPROVED, 10, "100.1")]), after: totals(13, after) };
            growth.is_what_was_sent(&sent(3, "0.3"), &settlement)
        };
        assert_eq!(check(&[(APPROVED, 12, "100.3"), (DECLINED, 1, "0.1")]), Ok(true));
        let a_cent_is_missing = check(&[(APPROVED, 12, "100.3"), (DECLINED, 1, "0.09")]);
        assert!(a_cent_is_missing.unwrap_err().to_string().contains("100.39"));
        let wrong_status = check(&[(APPROVED, 13, "100.4")]);
        assert_eq!(
            wrong_status.unwrap_err().to_string(),
            "the stack's totals are wrong: payments that are APPROVED should have grown by 2, and grew by 3"
        );
    }

    #[test]
    fn totals_are_not_compared_when_others_place_orders_too() {
        let (before, after) = (totals(10, &[(APPROVED, 10, "10")]), totals(15, &[(APPROVED, 15, "15")]));
        let settlement = settlement(&[(OrderStatus::Paid, 3)]);
        assert_eq!(Growth { before, after }.is_what_was_sent(&sent(3, "3"), &settlement), Ok(false));
    }
}
