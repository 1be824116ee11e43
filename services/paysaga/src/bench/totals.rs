//! The stack's own totals of orders and payments.

use contracts::payment::{PaymentStats, StatusStats};
use contracts::{MoneyTotal, PaymentStatus, Word};

use crate::gateway::{Gateway, GatewayError, Paging};

/// How many orders and payments there are, and the payments' amounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) orders: u64,
    pub(super) payments: PaymentStats<Word>,
}

impl Totals {
    pub(super) async fn read(gateway: &Gateway) -> Result<Self, GatewayError> {
        // The payments first: an order is there before its payment is.
        let payments = gateway.payment_stats().await?;
        Ok(Self { orders: gateway.orders(Paging { page: 1, limit: 1 }).await?.meta.total, payments })
    }

    /// Payments of one status.
    pub(super) fn payments_of(&self, status: PaymentStatus) -> u64 {
        self.count(|other| other == status)
    }

    /// The amounts of all payments together; `None` is more than can be counted.
    pub(super) fn amount(&self) -> Option<MoneyTotal> {
        let amounts = self.payments.by_status.iter().map(|StatusStats { total_amount, .. }| *total_amount);
        amounts.into_iter().try_fold(MoneyTotal::ZERO, MoneyTotal::checked_add)
    }

    /// Orders that were not there before.
    pub(super) fn orders_since(&self, before: &Self) -> u64 {
        self.orders.saturating_sub(before.orders)
    }

    /// Payments whose outcome was not known before.
    pub(super) fn concluded_since(&self, before: &Self) -> u64 {
        let concluded = |totals: &Self| totals.count(|status| status != PaymentStatus::Processing);
        concluded(self).saturating_sub(concluded(before))
    }

    fn count(&self, which: impl Fn(PaymentStatus) -> bool) -> u64 {
        let stats = self.payments.by_status.iter();
        stats.filter(|stats| stats.status.parse().is_ok_and(&which)).map(|stats| stats.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(orders: u64, payments: &[(PaymentStatus, u64)]) -> Totals {
        let stats = payments.iter().map(|&(status, count)| StatusStats {
            status: status.to_string(),
            count,
            total_amount: MoneyTotal::ZERO,
        });
        Totals { orders, payments: PaymentStats { by_status: stats.collect() } }
    }

    #[test]
    fn a_payment_is_concluded_when_its_outcome_is_known() {
        let before = totals(5, &[(PaymentStatus::Approved, 3), (PaymentStatus::Processing, 2)]);
        let after = totals(9, &[(PaymentStatus::Approved, 6), (PaymentStatus::Processing, 3)]);
        assert_eq!(before.payments_of(PaymentStatus::Processing), 2);
        assert_eq!((after.concluded_since(&before), after.orders_since(&before)), (3, 4));
    }
}
