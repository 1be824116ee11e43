//! Whether what is on record about one order fits together. Pure.

use std::fmt::Write;
use std::time::Duration;

use strum::Display;

use super::records::{ChargeRecord, OrderRecord, PaymentRecord, SagaRecords};
use crate::status::final_states_agree;
use crate::{OrderStatus, PaymentStatus};

/// Every saga comes to its end.
const ALL_SETTLED: &str = "all-settled";

/// What is charged is what is to be paid.
const BOOKS_BALANCE: &str = "books-balance";

/// What records are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judge {
    /// What changed less than this long ago may still change.
    pub grace: Duration,
    /// The payment service may be this late with what it has to do. While the provider does not answer, its steps are due and not
    /// taken, which alerts of their own report.
    pub patience: Duration,
    /// Whether the provider's books can be read.
    pub provider_known: bool,
}

/// The result for one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Order and payment are in their final states, and agree.
    Settled,
    /// Something is still to happen, and is not late.
    InFlight,
    /// An invariant does not hold, or what is still to happen is late.
    Wrong(Mismatch),
}

/// How records don't fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The invariant that does not hold, by its name in `docs/INVARIANTS.md`.
    pub invariant: &'static str,
    /// In what the records differ.
    pub member: Member,
    /// All of it in a sentence.
    pub what: String,
}

/// In what records differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display)]
#[strum(serialize_all = "lowercase")]
pub enum Member {
    /// How far order and payment have come.
    Status,
    /// How much is to be paid and was charged.
    Amount,
    /// What the provider charged.
    Charge,
    /// Whether the money went back.
    Refund,
}

impl Judge {
    /// Judges the records of one order.
    #[must_use]
    pub fn judge(self, records: &SagaRecords) -> Verdict {
        let ages = [records.order.as_ref().map(|order| order.age), records.payment.as_ref().map(|it| it.age)];
        let is_fresh = ages.into_iter().flatten().any(|age| age < self.grace);
        if let Some(what) = records.payment.as_ref().and_then(refused_refund) {
            // It does not change by itself, however long it is waited for.
            return Verdict::Wrong(Mismatch { invariant: "no-money-held", member: Member::Refund, what });
        }
        match self.compare(records) {
            Ok(()) => Verdict::Settled,
            Err(_) if is_fresh => Verdict::InFlight,
            // An order may wait for its provider for an hour: it is not late before its deadline or its retry is, where those
            // are known.
            Err(mismatch) if mismatch.invariant == ALL_SETTLED && self.goes_on_by_itself(records) => {
                Verdict::InFlight
            }
            Err(mismatch) => Verdict::Wrong(mismatch),
        }
    }

    /// What each of them has in this member: the order service, the payment service and the provider.
    #[must_use]
    pub fn values(self, records: &SagaRecords, member: Member) -> [Option<String>; 3] {
        let SagaRecords { order, payment, charge } = records;
        let (order, payment, charge) = (order.as_ref(), payment.as_ref(), charge.as_ref());
        if member == Member::Amount {
            return [
                order.map(|order| order.total.to_string()),
                payment.map(|payment| payment.amount.to_string()),
                charge.map(|charge| charge.amount.to_string()),
            ];
        }
        let charged = self.provider_known.then(|| described(charge));
        [
            order.map(|order| order.status.to_string()),
            payment.map(|payment| match (&payment.refund_reference, &payment.refund_refusal) {
                (Some(reference), _) => format!("{}, by {reference}", payment.status),
                (None, Some(_)) => format!("{}, refund refused", payment.status),
                (None, None) => payment.status.to_string(),
            }),
            charged,
        ]
    }

    fn goes_on_by_itself(self, records: &SagaRecords) -> bool {
        records.deadline_is_to_come(self.grace) || records.payment_goes_on(self.patience)
    }

    /// Succeeds if nothing is left to happen and every invariant holds.
    fn compare(self, records: &SagaRecords) -> Result<(), Mismatch> {
        let Some(order) = &records.order else {
            return Err(if let Some(payment) = &records.payment {
                let what = format!("a payment ({}) without an order", payment.status);
                Mismatch { invariant: "pairs-agree", member: Member::Status, what }
            } else {
                let what = "a charge without a payment".to_owned();
                Mismatch { invariant: "one-charge", member: Member::Charge, what }
            });
        };
        let payment = records.payment.as_ref();
        if let Some(payment) = payment.filter(|payment| payment.amount != order.total) {
            let what =
                format!("the order's total is {}, its payment's amount {}", order.total, payment.amount);
            return Err(Mismatch { invariant: BOOKS_BALANCE, member: Member::Amount, what });
        }
        compare_statuses(order, payment)?;
        match payment {
            Some(payment) if self.provider_known => compare_charge(order, payment, records),
            _ => Ok(()),
        }
    }
}

/// The finding about a refund that waits for an operator's decision.
fn refused_refund(payment: &PaymentRecord) -> Option<String> {
    let reason = payment.refund_refusal.as_deref()?;
    let (id, amount) = (payment.id, payment.amount);
    Some(format!(
        "the provider refused to give {amount} back ({reason}); decide: paysaga refunds retry {id}, or settle {id}"
    ))
}

/// Whether the statuses of order and payment go together.
fn compare_statuses(order: &OrderRecord, payment: Option<&PaymentRecord>) -> Result<(), Mismatch> {
    use OrderStatus as O;
    use PaymentStatus as P;
    let status = payment.map(|payment| payment.status);
    let is_being_refunded = payment.is_some_and(|payment| payment.next_step.as_deref() == Some("REFUND"));
    let (invariant, what) = match (order.status, status) {
        (order, payment) if final_states_agree(order, payment) && !is_being_refunded => return Ok(()),
        // A payment that failed as its order did is here while a charge that turned up late goes back.
        (_, Some(P::Processing)) | (O::PendingPayment | O::Cancelled, _) | (O::Failed, Some(P::Failed)) => {
            (ALL_SETTLED, expected_next(order, payment))
        }
        (order, payment) => {
            let payment = payment.map_or_else(|| "none".to_owned(), |payment| payment.to_string());
            ("pairs-agree", format!("the order is {order}, its payment {payment}"))
        }
    };
    Err(Mismatch { invariant, member: Member::Status, what })
}

/// Whether the provider's books agree with the payment.
fn compare_charge(
    order: &OrderRecord,
    payment: &PaymentRecord,
    records: &SagaRecords,
) -> Result<(), Mismatch> {
    use PaymentStatus as P;
    let charge = records.charge.as_ref();
    let holds_money = records.money_is_held();
    if let Some(charge) = charge.filter(|charge| charge.amount != payment.amount) {
        let what = format!("{} to pay, {} charged", payment.amount, charge.amount);
        return Err(Mismatch { invariant: BOOKS_BALANCE, member: Member::Amount, what });
    }
    if holds_money && order.status != OrderStatus::Paid {
        let what = format!("the order is {}, and its money was not given back", order.status);
        return Err(Mismatch { invariant: "no-money-held", member: Member::Refund, what });
    }
    let is_over = !matches!(payment.status, P::Approved | P::Processing);
    if charge.is_none() && payment.charge_forgotten && is_over {
        return Ok(());
    }
    let outcome = charge.map(|charge| (charge.outcome.as_str(), charge.refunded));
    if let (Some(reference), Some((_, true))) = (&payment.refund_reference, outcome) {
        let what = format!("the provider gave the money back, and an operator did so too ({reference})");
        return Err(Mismatch { invariant: "no-gift", member: Member::Refund, what });
    }
    let agrees = match payment.status {
        P::Approved => outcome == Some(("APPROVED", false)),
        P::Refunded => outcome == Some(("APPROVED", payment.refund_reference.is_none())),
        P::Declined => outcome == Some(("DECLINED", false)),
        P::Failed => outcome == Some(("FAILED", false)),
        P::Cancelled | P::Processing => !holds_money,
    };
    if agrees {
        return Ok(());
    }
    let what = format!("the payment is {}, the provider's books have {}", payment.status, described(charge));
    Err(Mismatch { invariant: BOOKS_BALANCE, member: Member::Charge, what })
}

/// A charge in words.
fn described(charge: Option<&ChargeRecord>) -> String {
    match charge {
        None => "no charge".to_owned(),
        Some(ChargeRecord { outcome, refunded: true, .. }) => format!("{outcome}, refunded"),
        Some(ChargeRecord { outcome, refunded: false, .. }) => outcome.clone(),
    }
}

/// What an order that has not settled waits for, and the event that comes next.
fn expected_next(order: &OrderRecord, payment: Option<&PaymentRecord>) -> String {
    let mut text = format!("the order is {} for {} s; ", order.status, order.age.as_secs());
    // Writing to a String can't fail.
    let _ = match payment {
        None => write!(text, "the payment service has not processed order.created"),
        Some(payment) => {
            let next = match (payment.status, order.status) {
                (PaymentStatus::Processing, OrderStatus::Cancelled) => {
                    "payment.cancelled or payment.refunded"
                }
                (PaymentStatus::Processing, _) => "payment.approved, payment.declined or payment.failed",
                (PaymentStatus::Approved, OrderStatus::Cancelled) if payment.next_step.is_none() => {
                    "order.cancelled"
                }
                (PaymentStatus::Approved, OrderStatus::Cancelled) => "payment.refunded",
                (status, _) if status.is_final() && payment.next_step.is_some() => {
                    "none, the money goes back"
                }
                (PaymentStatus::Approved, _) => "payment.approved",
                (PaymentStatus::Declined, _) => "payment.declined",
                (PaymentStatus::Failed, _) => "payment.failed",
                (PaymentStatus::Cancelled | PaymentStatus::Refunded, _) => "order.cancelled",
            };
            let step = payment.next_step.as_deref().unwrap_or("none");
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
    use uuid::Uuid;

    use super::*;
    use crate::{Money, OrderId, PaymentId};

    const OLD: Duration = Duration::from_mins(1);
    const JUDGE: Judge =
        Judge { grace: Duration::from_secs(30), patience: Duration::from_secs(30), provider_known: true };
    const WITHOUT_GRACE: Judge = Judge { grace: Duration::ZERO, ..JUDGE };
    const PATIENT: Judge = Judge { patience: Duration::from_hours(1), ..JUDGE };

    fn records(
        order: OrderStatus,
        payment: Option<PaymentStatus>,
        charge: Option<(&str, bool)>,
    ) -> SagaRecords {
        let id: OrderId = Uuid::nil().into();
        let total: Money = "9.99".parse().unwrap();
        SagaRecords {
            order: Some(OrderRecord { id, total, status: order, age: OLD, overdue: None }),
            payment: payment.map(|status| PaymentRecord {
                id: PaymentId::of_order(id),
                order_id: id,
                amount: total,
                status,
                next_step: None,
                attempts: 1,
                last_error: None,
                refund_refusal: None,
                refund_reference: None,
                age: OLD,
                step_overdue: None,
                charge_forgotten: false,
            }),
            charge: charge.map(|(outcome, refunded)| ChargeRecord {
                amount: total,
                outcome: outcome.to_owned(),
                refunded,
            }),
        }
    }

    fn finding(judge: Judge, records: &SagaRecords) -> Mismatch {
        match judge.judge(records) {
            Verdict::Wrong(finding) => finding,
            verdict => panic!("{verdict:?}"),
        }
    }

    fn broken(records: &SagaRecords) -> &'static str {
        finding(JUDGE, records).invariant
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
            let records = records(order, payment, charge);
            assert_eq!(JUDGE.judge(&records), Verdict::Settled, "{records:?}");
        }
    }

    #[test]
    fn every_broken_invariant_has_its_name() {
        use OrderStatus as O;
        use PaymentStatus as P;
        let approved = Some(("APPROVED", false));
        assert_eq!(broken(&records(O::PendingPayment, None, None)), "all-settled");
        assert_eq!(broken(&records(O::PendingPayment, Some(P::Approved), approved)), "all-settled");
        assert_eq!(broken(&records(O::Cancelled, Some(P::Approved), approved)), "all-settled");
        assert_eq!(broken(&records(O::Cancelled, Some(P::Cancelled), approved)), "no-money-held");
        assert_eq!(broken(&records(O::Paid, Some(P::Declined), Some(("DECLINED", false)))), "pairs-agree");
        assert_eq!(broken(&records(O::Paid, Some(P::Approved), None)), "books-balance");
        assert_eq!(broken(&records(O::Failed, Some(P::Approved), approved)), "pairs-agree");
        let mut orphan = records(O::Paid, Some(P::Approved), approved);
        orphan.order = None;
        assert_eq!(broken(&orphan), "pairs-agree");
        let mut overcharged = records(O::Paid, Some(P::Approved), approved);
        overcharged.charge.as_mut().unwrap().amount = "10".parse().unwrap();
        assert_eq!(broken(&overcharged), "books-balance");
    }

    #[test]
    fn only_charges_that_hold_no_money_may_be_forgotten() {
        use OrderStatus as O;
        use PaymentStatus as P;
        let forgotten = |order, payment| {
            let mut records = records(order, Some(payment), None);
            let settled = JUDGE.judge(&records) == Verdict::Settled;
            assert!(!settled, "a charge is expected: {records:?}");
            records.payment.as_mut().unwrap().charge_forgotten = true;
            JUDGE.judge(&records)
        };
        assert_eq!(forgotten(O::Cancelled, P::Declined), Verdict::Settled);
        assert_eq!(forgotten(O::Failed, P::Failed), Verdict::Settled);
        assert_eq!(forgotten(O::Cancelled, P::Refunded), Verdict::Settled);
        assert!(matches!(forgotten(O::Paid, P::Approved), Verdict::Wrong(_)));
    }

    #[test]
    fn a_refused_refund_is_wrong_until_an_operator_has_decided() {
        let mut refused =
            records(OrderStatus::Cancelled, Some(PaymentStatus::Approved), Some(("APPROVED", false)));
        refused.payment.as_mut().unwrap().refund_refusal = Some("account closed".to_owned());
        let patient = Judge { grace: 2 * OLD, ..JUDGE };
        let found = finding(patient, &refused);
        assert_eq!(found.invariant, "no-money-held");
        assert!(
            found.what.contains("account closed") && found.what.contains("paysaga refunds"),
            "{}",
            found.what
        );

        let mut settled =
            records(OrderStatus::Cancelled, Some(PaymentStatus::Refunded), Some(("APPROVED", false)));
        settled.payment.as_mut().unwrap().refund_reference = Some("transfer 7".to_owned());
        assert_eq!(JUDGE.judge(&settled), Verdict::Settled);
        settled.charge.as_mut().unwrap().refunded = true;
        assert_eq!(broken(&settled), "no-gift");
    }

    #[test]
    fn a_charge_that_turned_up_late_is_on_its_way_back() {
        let mut stray =
            records(OrderStatus::Cancelled, Some(PaymentStatus::Cancelled), Some(("APPROVED", false)));
        stray.payment.as_mut().unwrap().next_step = Some("REFUND".to_owned());
        assert_eq!(broken(&stray), "all-settled");
        // The last look at a payment that ended without money is no reason to wait.
        let mut ended = records(OrderStatus::Cancelled, Some(PaymentStatus::Cancelled), None);
        ended.payment.as_mut().unwrap().next_step = Some("LOOKUP".to_owned());
        assert_eq!(JUDGE.judge(&ended), Verdict::Settled);
    }

    #[test]
    fn a_refund_that_is_owed_while_the_breaker_is_open_is_in_flight() {
        use OrderStatus as O;
        use PaymentStatus as P;
        let approved = Some(("APPROVED", false));
        let minutes = Duration::from_mins;
        for (order, payment, step) in [
            (O::Cancelled, P::Approved, "REFUND"),
            (O::Cancelled, P::Processing, "LOOKUP"),
            (O::Cancelled, P::Cancelled, "REFUND"),
            (O::Failed, P::Failed, "REFUND"),
        ] {
            let mut owed = records(order, Some(payment), approved);
            owed.payment.as_mut().unwrap().next_step = Some(step.to_owned());
            let mut overdue = |minutes| {
                owed.payment.as_mut().unwrap().step_overdue = Some(minutes);
                owed.clone()
            };
            assert_eq!(PATIENT.judge(&overdue(minutes(59))), Verdict::InFlight, "{order} {payment}");
            assert_eq!(finding(PATIENT, &overdue(minutes(61))).invariant, "all-settled");
            assert_eq!(
                broken(&overdue(minutes(59))),
                "all-settled",
                "paysaga check waits as long as it is told"
            );
        }
        let mut unread = records(O::Cancelled, Some(P::Approved), approved);
        assert_eq!(PATIENT.judge(&unread), Verdict::InFlight, "order.cancelled has not been consumed");
        unread.order.as_mut().unwrap().age = minutes(61);
        assert_eq!(finding(PATIENT, &unread).invariant, "all-settled");
    }

    #[test]
    fn no_patience_is_had_with_money_that_is_where_it_does_not_belong() {
        use OrderStatus as O;
        use PaymentStatus as P;
        let approved = Some(("APPROVED", false));
        let held = records(O::Cancelled, Some(P::Cancelled), approved);
        assert_eq!(finding(PATIENT, &held).invariant, "no-money-held");
        let mut paid = records(O::Paid, Some(P::Approved), approved);
        paid.payment.as_mut().unwrap().next_step = Some("REFUND".to_owned());
        paid.payment.as_mut().unwrap().step_overdue = Some(Duration::ZERO);
        assert_eq!(finding(PATIENT, &paid).invariant, "pairs-agree");
        let mut overcharged = records(O::Cancelled, Some(P::Approved), approved);
        overcharged.payment.as_mut().unwrap().amount = "10".parse().unwrap();
        assert_eq!(finding(PATIENT, &overcharged).invariant, "books-balance");
    }

    #[test]
    fn what_changed_within_the_grace_period_may_still_change() {
        let mut records = records(OrderStatus::PendingPayment, None, None);
        records.order.as_mut().unwrap().age = Duration::from_secs(1);
        assert_eq!(JUDGE.judge(&records), Verdict::InFlight);
        assert_eq!(finding(WITHOUT_GRACE, &records).invariant, "all-settled");
    }

    #[test]
    fn what_waits_is_in_flight_until_its_deadline_or_its_next_step_is_late() {
        let mut waiting = records(OrderStatus::PendingPayment, Some(PaymentStatus::Processing), None);
        let set = |records: &mut SagaRecords, deadline: Option<u64>, step: Option<u64>| {
            records.order.as_mut().unwrap().overdue = deadline.map(Duration::from_secs);
            records.payment.as_mut().unwrap().step_overdue = step.map(Duration::from_secs);
        };
        for (deadline, step) in [(Some(0), None), (None, Some(0)), (Some(0), Some(60)), (Some(60), Some(5))] {
            set(&mut waiting, deadline, step);
            assert_eq!(JUDGE.judge(&waiting), Verdict::InFlight, "{deadline:?} {step:?}");
        }
        set(&mut waiting, Some(60), Some(60));
        assert_eq!(broken(&waiting), "all-settled");
        // What can't come right by waiting is wrong, whatever is still to happen.
        set(&mut waiting, Some(0), Some(0));
        waiting.payment.as_mut().unwrap().amount = "1".parse().unwrap();
        assert_eq!(broken(&waiting), "books-balance");
    }

    #[test]
    fn a_mismatch_names_the_member_and_what_each_has_there() {
        use OrderStatus as O;
        use PaymentStatus as P;
        let differs = |records: &SagaRecords| {
            let member = finding(JUDGE, records).member;
            let values = JUDGE.values(records, member).map(Option::unwrap_or_default);
            (member, values.join(" | "))
        };
        let paid = || records(O::Paid, Some(P::Approved), Some(("APPROVED", false)));
        let mut other = paid();
        other.payment.as_mut().unwrap().amount = "10".parse().unwrap();
        assert_eq!(differs(&other), (Member::Amount, "9.99 | 10 | 9.99".to_owned()));
        let other = records(O::Failed, Some(P::Approved), Some(("APPROVED", false)));
        assert_eq!(differs(&other), (Member::Status, "FAILED | APPROVED | APPROVED".to_owned()));
        let other = records(O::Paid, Some(P::Approved), None);
        assert_eq!(differs(&other), (Member::Charge, "PAID | APPROVED | no charge".to_owned()));
        let other = records(O::Cancelled, Some(P::Cancelled), Some(("APPROVED", false)));
        assert_eq!(differs(&other), (Member::Refund, "CANCELLED | CANCELLED | APPROVED".to_owned()));
    }

    #[test]
    fn the_finding_about_a_stuck_order_names_what_it_waits_for() {
        let stuck = records(OrderStatus::PendingPayment, Some(PaymentStatus::Processing), None);
        let what = finding(JUDGE, &stuck).what;
        assert!(what.contains("PENDING_PAYMENT for 60 s"), "{what}");
        assert!(what.contains("the next event is payment.approved, payment.declined"), "{what}");
    }
}
