//! The state that an order is followed to.

use std::fmt;

use contracts::order::Order;
use contracts::payment::Payment;
use contracts::{CancelReason, OrderStatus, PaymentStatus};

/// What the gateway shows of a saga.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    pub(super) order: Option<Order>,
    pub(super) payment: Option<Payment>,
}

/// The final state of order and payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndState {
    pub(super) order: OrderStatus,
    pub(super) reason: Option<CancelReason>,
    pub(super) payment: PaymentStatus,
}

/// The state that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The provider was asked and has not answered yet.
    ChargeUnderWay,
    /// The order has settled like this.
    End(EndState),
}

/// How what was observed compares with the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    NotYet,
    Reached,
    /// It can't be reached any more.
    Missed,
}

impl Goal {
    pub(super) fn judge(self, seen: &Observed) -> Judgement {
        match self {
            Self::ChargeUnderWay => match &seen.payment {
                Some(payment) if payment.status != PaymentStatus::Processing => Judgement::Missed,
                Some(payment) if payment.attempts > 0 => Judgement::Reached,
                _ => Judgement::NotYet,
            },
            Self::End(ending) => ending.judge(seen),
        }
    }
}

impl EndState {
    pub(super) const PAID: Self =
        Self { order: OrderStatus::Paid, reason: None, payment: PaymentStatus::Approved };

    fn judge(self, seen: &Observed) -> Judgement {
        let order = seen.order.as_ref().map(|order| (order.status, order.cancel_reason));
        let payment = seen.payment.as_ref().map(|payment| payment.status);
        let order_is_final = order == Some((self.order, self.reason));
        let order_missed_it = !order_is_final && order.is_some_and(|(status, _)| !self.can_follow(status));
        let payment_missed_it = payment.is_some_and(|status| !self.can_pay_after(status));
        if order_is_final && payment == Some(self.payment) {
            Judgement::Reached
        } else if order_missed_it || payment_missed_it {
            Judgement::Missed
        } else {
            Judgement::NotYet
        }
    }

    /// Whether the contract lets an order of that status still get here.
    fn can_follow(self, status: OrderStatus) -> bool {
        match status {
            OrderStatus::PendingPayment => true,
            OrderStatus::Paid => self.order == OrderStatus::Cancelled,
            OrderStatus::Cancelled | OrderStatus::Failed => false,
        }
    }

    /// Whether the contract lets a payment of that status still get here.
    fn can_pay_after(self, status: PaymentStatus) -> bool {
        match status {
            _ if status == self.payment => true,
            PaymentStatus::Processing => true,
            PaymentStatus::Approved => self.payment == PaymentStatus::Refunded,
            _ => false,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChargeUnderWay => formatter.write_str("PROCESSING, with the charge under way"),
            Self::End(EndState { order, reason: Some(reason), payment }) => {
                write!(formatter, "{order} ({reason}), {payment}")
            }
            Self::End(EndState { order, reason: None, payment }) => write!(formatter, "{order}, {payment}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::{PaymentId, Timestamp};
    use uuid::Uuid;

    use super::super::kind::Kind;
    use super::*;

    fn seen(
        order: Option<(OrderStatus, Option<CancelReason>)>,
        payment: Option<(PaymentStatus, u32)>,
    ) -> Observed {
        let (order_id, total, now) = (Uuid::nil().into(), "9.99".parse().unwrap(), Timestamp::now());
        Observed {
            order: order.map(|(status, cancel_reason)| Order {
                id: order_id,
                user_id: Uuid::nil().into(),
                total,
                status,
                cancel_reason,
                created_at: now,
                updated_at: now,
                owner: None,
            }),
            payment: payment.map(|(status, attempts)| Payment {
                id: PaymentId::of_order(order_id),
                order_id,
                amount: total,
                status,
                transaction_id: None,
                attempts,
                last_error: None,
                created_at: now,
                updated_at: now,
                owner: None,
            }),
        }
    }

    #[test]
    fn the_end_is_reached_when_order_and_payment_are_in_their_final_states() {
        use OrderStatus::{Cancelled, Paid, PendingPayment};
        use PaymentStatus::{Approved, Declined, Processing, Refunded};
        let user = Some(CancelReason::UserRequested);
        let declined = Some(CancelReason::PaymentDeclined);
        for (kind, order, payment, expected) in [
            (Kind::Approved, None, None, Judgement::NotYet),
            (Kind::Approved, Some((PendingPayment, None)), Some(Processing), Judgement::NotYet),
            (Kind::Approved, Some((PendingPayment, None)), Some(Approved), Judgement::NotYet),
            (Kind::Approved, Some((Paid, None)), Some(Approved), Judgement::Reached),
            (Kind::Approved, Some((PendingPayment, None)), Some(Declined), Judgement::Missed),
            (Kind::Approved, Some((Cancelled, user)), Some(Approved), Judgement::Missed),
            (Kind::Declined, Some((Cancelled, declined)), Some(Declined), Judgement::Reached),
            (
                Kind::Declined,
                Some((Cancelled, Some(CancelReason::PaymentTimeout))),
                Some(Declined),
                Judgement::Missed,
            ),
            (Kind::Declined, Some((Paid, None)), Some(Processing), Judgement::NotYet),
            (Kind::Declined, Some((Paid, None)), Some(Approved), Judgement::Missed),
            (Kind::CancelledAfterPaid, Some((Paid, None)), Some(Approved), Judgement::NotYet),
            (Kind::CancelledAfterPaid, Some((Cancelled, user)), Some(Approved), Judgement::NotYet),
            (Kind::CancelledAfterPaid, Some((Cancelled, user)), Some(Refunded), Judgement::Reached),
            (
                Kind::CancelledUnderWay,
                Some((Cancelled, user)),
                Some(PaymentStatus::Cancelled),
                Judgement::Missed,
            ),
        ] {
            let seen = seen(order, payment.map(|status| (status, 1)));
            assert_eq!(Goal::End(kind.end_state()).judge(&seen), expected, "{kind:?} {order:?} {payment:?}");
        }
    }

    #[test]
    fn a_charge_is_under_way_between_the_call_and_its_answer() {
        for (payment, expected) in [
            (None, Judgement::NotYet),
            (Some((PaymentStatus::Processing, 0)), Judgement::NotYet),
            (Some((PaymentStatus::Processing, 1)), Judgement::Reached),
            (Some((PaymentStatus::Approved, 1)), Judgement::Missed),
        ] {
            assert_eq!(Goal::ChargeUnderWay.judge(&seen(None, payment)), expected, "{payment:?}");
        }
    }
}
