//! What an order, its payment and the provider's charge say about each other. Pure.

use std::fmt::Write;
use std::time::Duration;

use contracts::status::final_states_agree;
use contracts::{Money, OrderId, OrderStatus, PaymentId, PaymentStatus};

use super::report::Finding;

/// An order, as the auditor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSide {
    /// The order.
    pub id: OrderId,
    /// What was to be paid.
    pub total: Money,
    /// Where it stands.
    pub status: OrderStatus,
    /// How long ago it changed last.
    pub age: Duration,
}

/// A payment, as the auditor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentSide {
    /// The payment.
    pub id: PaymentId,
    /// What it pays for.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// What the provider is to be asked next; unknown where only the API is asked.
    pub step: Option<String>,
    /// How often the provider was asked.
    pub attempts: u32,
    /// Why the last attempt brought nothing.
    pub last_error: Option<String>,
    /// How long ago it changed last.
    pub age: Duration,
}

/// A charge in the books of the simulated provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeSide {
    /// Its key.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// `APPROVED`, `DECLINED` or `FAILED`.
    pub outcome: String,
    /// Whether the money was given back.
    pub refunded: bool,
}

impl ChargeSide {
    /// Whether the provider has the customer's money.
    #[must_use]
    pub fn holds_money(&self) -> bool {
        self.outcome == "APPROVED" && !self.refunded
    }
}

/// Everything about one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// What the order service has.
    pub order: Option<OrderSide>,
    /// What the payment service has.
    pub payment: Option<PaymentSide>,
    /// What the provider has.
    pub charge: Option<ChargeSide>,
    /// Whether the provider's books could be read.
    pub provider_known: bool,
}

/// What a pair comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both sides are at rest and agree.
    Settled,
    /// Something is still to happen, and is not late.
    InFlight,
    /// An invariant does not hold, or what is still to happen is late.
    Wrong(Finding),
}

/// Judges a pair. What changed less than `grace` ago may still be on its way; it is judged later.
#[must_use]
pub fn judge(pair: &Pair, grace: Duration) -> Verdict {
    let youngest = [pair.order.as_ref().map(|side| side.age), pair.payment.as_ref().map(|side| side.age)];
    let fresh = youngest.into_iter().flatten().any(|age| age < grace);
    match expected(pair) {
        Ok(()) => Verdict::Settled,
        Err(_) if fresh => Verdict::InFlight,
        Err((invariant, what)) => Verdict::Wrong(Finding {
            invariant,
            order_id: pair
                .order
                .as_ref()
                .map(|side| side.id)
                .or(pair.payment.as_ref().map(|side| side.order_id)),
            what,
        }),
    }
}

type Mismatch = (&'static str, String);

/// Whether the pair is at rest, or the name of the invariant that it breaks and how.
fn expected(pair: &Pair) -> Result<(), Mismatch> {
    let Some(order) = &pair.order else {
        return match &pair.payment {
            Some(payment) => Err(("pairs-agree", format!("a payment ({}) without an order", payment.status))),
            None => Err(("one-charge", "a charge without a payment".to_owned())),
        };
    };
    let payment = pair.payment.as_ref();
    if let Some(payment) = payment.filter(|payment| payment.amount != order.total) {
        return Err((
            "books-balance",
            format!("the order says {}, its payment {}", order.total, payment.amount),
        ));
    }
    agree(order, payment)?;
    match payment {
        Some(payment) if pair.provider_known => balance(order, payment, pair.charge.as_ref()),
        _ => Ok(()),
    }
}

/// Whether the statuses of order and payment go together.
fn agree(order: &OrderSide, payment: Option<&PaymentSide>) -> Result<(), Mismatch> {
    use OrderStatus as O;
    use PaymentStatus as P;
    let status = payment.map(|payment| payment.status);
    let is_being_refunded =
        payment.is_some_and(|payment| payment.status == P::Approved && payment.step.is_some());
    match (order.status, status) {
        (order, payment) if final_states_agree(order, payment) && !is_being_refunded => Ok(()),
        (_, Some(P::Processing)) | (O::PendingPayment | O::Cancelled, _) => {
            Err(("all-settled", waiting(order, payment)))
        }
        (order, payment) => {
            let payment = payment.map_or_else(|| "none".to_owned(), |payment| payment.to_string());
            Err(("pairs-agree", format!("the order is {order}, its payment {payment}")))
        }
    }
}

/// Whether the provider's books say what the payment says.
fn balance(order: &OrderSide, payment: &PaymentSide, charge: Option<&ChargeSide>) -> Result<(), Mismatch> {
    use PaymentStatus as P;
    let holds_money = charge.is_some_and(ChargeSide::holds_money);
    if let Some(charge) = charge.filter(|charge| charge.amount != payment.amount) {
        return Err(("books-balance", format!("{} to pay, {} charged", payment.amount, charge.amount)));
    }
    if holds_money && order.status != OrderStatus::Paid {
        return Err((
            "no-money-held",
            format!("the order is {}, and its money was not given back", order.status),
        ));
    }
    let outcome = charge.map(|charge| (charge.outcome.as_str(), charge.refunded));
    let fits = match payment.status {
        P::Approved => outcome == Some(("APPROVED", false)),
        P::Refunded => outcome == Some(("APPROVED", true)),
        P::Declined => outcome == Some(("DECLINED", false)),
        P::Failed => outcome == Some(("FAILED", false)),
        P::Cancelled | P::Processing => !holds_money,
    };
    if fits {
        Ok(())
    } else {
        Err(("books-balance", format!("the payment is {}, the provider says {outcome:?}", payment.status)))
    }
}

/// What an unsettled pair waits for: the reason and the next expected event.
fn waiting(order: &OrderSide, payment: Option<&PaymentSide>) -> String {
    let mut text = format!("the order is {} for {} s; ", order.status, order.age.as_secs());
    // Writing to a String can't fail.
    let _ = match payment {
        None => write!(text, "the payment service has not heard order.created"),
        Some(payment) => {
            let next = match (payment.status, order.status) {
                (PaymentStatus::Processing, OrderStatus::Cancelled) => {
                    "payment.cancelled or payment.refunded"
                }
                (PaymentStatus::Processing, _) => "payment.approved, payment.declined or payment.failed",
                (PaymentStatus::Approved, OrderStatus::Cancelled) if payment.step.is_none() => {
                    "order.cancelled"
                }
                (PaymentStatus::Approved, OrderStatus::Cancelled) => "payment.refunded",
                (PaymentStatus::Approved, _) => "payment.approved",
                (PaymentStatus::Declined, _) => "payment.declined",
                (PaymentStatus::Failed, _) => "payment.failed",
                (PaymentStatus::Cancelled | PaymentStatus::Refunded, _) => "order.cancelled",
            };
            let step = payment.step.as_deref().unwrap_or("none");
            let error = payment.last_error.as_deref().unwrap_or("none");
            write!(
                text,
                "the payment is {} (next step {step}, {} attempts, last error: {error}); the next event is {next}",
                payment.status, payment.attempts
            )
        }
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const GRACE: Duration = Duration::from_secs(30);
    const OLD: Duration = Duration::from_mins(1);

    fn pair(order: OrderStatus, payment: Option<PaymentStatus>, charge: Option<(&str, bool)>) -> Pair {
        let id: OrderId = Uuid::nil().into();
        let total: Money = "9.99".parse().unwrap();
        let payment_id = PaymentId::of_order(id);
        Pair {
            order: Some(OrderSide { id, total, status: order, age: OLD }),
            payment: payment.map(|status| PaymentSide {
                id: payment_id,
                order_id: id,
                amount: total,
                status,
                step: None,
                attempts: 1,
                last_error: None,
                age: OLD,
            }),
            charge: charge.map(|(outcome, refunded)| ChargeSide {
                payment_id,
                amount: total,
                outcome: outcome.to_owned(),
                refunded,
            }),
            provider_known: true,
        }
    }

    fn broken(pair: &Pair) -> &'static str {
        match judge(pair, GRACE) {
            Verdict::Wrong(finding) => finding.invariant,
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn every_way_to_end_is_settled() {
        use OrderStatus as O;
        use PaymentStatus as P;
        for (order, payment, charge) in [
            (O::Paid, Some(P::Approved), Some(("APPROVED", false))),
            (O::Cancelled, Some(P::Declined), Some(("DECLINED", false))),
            (O::Failed, Some(P::Failed), Some(("FAILED", false))),
            (O::Cancelled, Some(P::Cancelled), None),
            (O::Cancelled, Some(P::Cancelled), Some(("DECLINED", false))),
            (O::Cancelled, Some(P::Refunded), Some(("APPROVED", true))),
            (O::Cancelled, Some(P::Failed), Some(("FAILED", false))),
            (O::Cancelled, None, None),
        ] {
            let pair = pair(order, payment, charge);
            assert_eq!(judge(&pair, GRACE), Verdict::Settled, "{pair:?}");
        }
    }

    #[test]
    fn every_broken_invariant_has_its_name() {
        use OrderStatus as O;
        use PaymentStatus as P;
        let approved = Some(("APPROVED", false));
        assert_eq!(broken(&pair(O::PendingPayment, None, None)), "all-settled");
        assert_eq!(broken(&pair(O::PendingPayment, Some(P::Approved), approved)), "all-settled");
        assert_eq!(broken(&pair(O::Cancelled, Some(P::Approved), approved)), "all-settled");
        assert_eq!(broken(&pair(O::Cancelled, Some(P::Cancelled), approved)), "no-money-held");
        assert_eq!(broken(&pair(O::Paid, Some(P::Declined), Some(("DECLINED", false)))), "pairs-agree");
        assert_eq!(broken(&pair(O::Paid, Some(P::Approved), None)), "books-balance");
        assert_eq!(broken(&pair(O::Failed, Some(P::Approved), approved)), "pairs-agree");
        let mut orphan = pair(O::Paid, Some(P::Approved), approved);
        orphan.order = None;
        assert_eq!(broken(&orphan), "pairs-agree");
        let mut dearer = pair(O::Paid, Some(P::Approved), approved);
        dearer.charge.as_mut().unwrap().amount = "10".parse().unwrap();
        assert_eq!(broken(&dearer), "books-balance");
    }

    #[test]
    fn what_is_fresh_may_still_be_on_its_way() {
        let mut pair = pair(OrderStatus::PendingPayment, None, None);
        pair.order.as_mut().unwrap().age = Duration::from_secs(1);
        assert_eq!(judge(&pair, GRACE), Verdict::InFlight);
        assert_eq!(broken_now(&pair), "all-settled");
    }

    fn broken_now(pair: &Pair) -> &'static str {
        match judge(pair, Duration::ZERO) {
            Verdict::Wrong(finding) => finding.invariant,
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn a_stuck_saga_says_what_it_waits_for() {
        let stuck = pair(OrderStatus::PendingPayment, Some(PaymentStatus::Processing), None);
        let Verdict::Wrong(finding) = judge(&stuck, GRACE) else { panic!("settled") };
        assert!(finding.what.contains("PENDING_PAYMENT for 60 s"), "{}", finding.what);
        assert!(
            finding.what.contains("the next event is payment.approved, payment.declined"),
            "{}",
            finding.what
        );
    }
}
