//! The stack's own sums before and after.

use contracts::payment::{PaymentStats, StatusStats};
use contracts::{MoneyTotal, OrderStatus, PaymentStatus};

use super::load::Sent;
use super::settlement::Settlement;
use crate::gateway::{Gateway, GatewayError, Paging};

/// How many orders and payments there are, and what the payments come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    orders: u64,
    payments: PaymentStats,
}

/// The stack's own sums contradict what was sent, although nobody else sent anything.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stack's sums are wrong: {what} should have grown by {expected}, and grew by {found}")]
pub struct Untrue {
    what: String,
    expected: String,
    found: String,
}

impl Books {
    pub(super) async fn read(gateway: &Gateway) -> Result<Self, GatewayError> {
        // The payments first: an order is there before its payment is.
        let payments = gateway.payment_stats().await?;
        Ok(Self { orders: gateway.orders(Paging { page: 1, limit: 1 }).await?.meta.total, payments })
    }

    pub(super) fn processing(&self) -> u64 {
        self.count(|status| status == PaymentStatus::Processing)
    }

    pub(super) fn orders_since(&self, before: &Self) -> u64 {
        self.orders.saturating_sub(before.orders)
    }

    /// Payments whose outcome is known.
    pub(super) fn concluded_since(&self, before: &Self) -> u64 {
        let concluded = |books: &Self| books.count(|status| status != PaymentStatus::Processing);
        concluded(self).saturating_sub(concluded(before))
    }

    fn count(&self, which: impl Fn(PaymentStatus) -> bool) -> u64 {
        let stats = self.payments.by_status.iter();
        stats.filter(|stats| which(stats.status)).map(|stats| stats.count).sum()
    }

    fn amount(&self) -> Option<MoneyTotal> {
        let amounts = self.payments.by_status.iter().map(|StatusStats { total_amount, .. }| *total_amount);
        amounts.into_iter().try_fold(MoneyTotal::ZERO, MoneyTotal::checked_add)
    }
}

/// Whether the sums grew by what was sent, exactly. `Ok(false)` means that this can't be told: somebody else sent
/// orders too, or a request that got no clear answer was accepted after all.
pub(super) fn check(
    before: &Books,
    after: &Books,
    sent: &Sent,
    settlement: &Settlement,
) -> Result<bool, Untrue> {
    let accepted = sent.accepted.len() as u64;
    if after.orders_since(before) != accepted {
        return Ok(false);
    }
    let grown = |status| {
        let count = |books: &Books| books.count(|known| known == status);
        count(after).saturating_sub(count(before))
    };
    let ended = |status| settlement.statuses.get(&status).copied().unwrap_or_default();
    for (payment, order) in [
        (PaymentStatus::Approved, OrderStatus::Paid),
        (PaymentStatus::Declined, OrderStatus::Cancelled),
        (PaymentStatus::Failed, OrderStatus::Failed),
    ] {
        if grown(payment) != ended(order) {
            return Err(Untrue {
                what: format!("payments that are {payment}"),
                expected: ended(order).to_string(),
                found: grown(payment).to_string(),
            });
        }
    }
    let expected = sent.amount.zip(before.amount()).and_then(|(sent, before)| before.checked_add(sent));
    if expected != after.amount() {
        let show =
            |amount: Option<MoneyTotal>| amount.map_or_else(|| "?".to_owned(), |amount| amount.to_string());
        return Err(Untrue {
            what: format!("the amount of all payments, {},", show(before.amount())),
            expected: show(sent.amount),
            found: format!("what makes it {}", show(after.amount())),
        });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::time::Duration;

    use contracts::OrderId;
    use tokio::time::Instant;

    use super::*;

    fn books(orders: u64, payments: &[(PaymentStatus, u64, &str)]) -> Books {
        let by_status = payments
            .iter()
            .map(|&(status, count, amount)| StatusStats {
                status,
                count,
                total_amount: serde_json::from_str(amount).unwrap(),
            })
            .collect();
        Books { orders, payments: PaymentStats { by_status } }
    }

    fn sent(orders: usize, amount: &str) -> Sent {
        Sent {
            began: Instant::now(),
            took: Duration::ZERO,
            accepted: (0..orders).map(|_| OrderId::new()).collect(),
            amount: Some(serde_json::from_str(amount).unwrap()),
            latencies: Vec::new(),
            errors: BTreeMap::new(),
            first_error: None,
        }
    }

    fn settlement(paid: u64, cancelled: u64) -> Settlement {
        let statuses = HashMap::from([(OrderStatus::Paid, paid), (OrderStatus::Cancelled, cancelled)]);
        Settlement { took: Duration::ZERO, late: Duration::ZERO, statuses }
    }

    const APPROVED: PaymentStatus = PaymentStatus::Approved;
    const DECLINED: PaymentStatus = PaymentStatus::Declined;

    #[test]
    fn sums_are_right_to_the_cent_or_wrong() {
        let before = books(10, &[(APPROVED, 10, "100.1")]);
        let check = |after: &Books| check(&before, after, &sent(3, "0.3"), &settlement(2, 1));
        assert_eq!(check(&books(13, &[(APPROVED, 12, "100.3"), (DECLINED, 1, "0.1")])), Ok(true));
        let a_cent_is_missing = check(&books(13, &[(APPROVED, 12, "100.3"), (DECLINED, 1, "0.09")]));
        assert!(a_cent_is_missing.unwrap_err().to_string().contains("100.39"));
        let wrong_status = check(&books(13, &[(APPROVED, 13, "100.4")]));
        assert_eq!(
            wrong_status.unwrap_err().to_string(),
            "the stack's sums are wrong: payments that are APPROVED should have grown by 2, and grew by 3"
        );
    }

    #[test]
    fn sums_say_nothing_when_others_order_too() {
        let (before, after) = (books(10, &[(APPROVED, 10, "10")]), books(15, &[(APPROVED, 15, "15")]));
        assert_eq!(check(&before, &after, &sent(3, "3"), &settlement(3, 0)), Ok(false));
    }

    #[test]
    fn a_payment_is_concluded_when_its_outcome_is_known() {
        let before = books(5, &[(APPROVED, 3, "3"), (PaymentStatus::Processing, 2, "2")]);
        let after = books(9, &[(APPROVED, 6, "6"), (PaymentStatus::Processing, 3, "3")]);
        assert_eq!(
            (before.processing(), after.concluded_since(&before), after.orders_since(&before)),
            (2, 3, 4)
        );
    }
}
