//! Bugs to plant: each removes one mechanism. The search must find all of them, or it proves nothing.

use crate::exhaustive::search;

/// A mechanism that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// An order service that forgets a cancellation which arrives before its order.
    NoOrderTombstone,
    /// A payment service that forgets a cancellation which arrives before its order.
    NoPaymentTombstone,
    /// An order service that applies payment results whatever the order's status is.
    NoOrderGuard,
    /// A payment service that applies answers whatever the payment's status is.
    NoPaymentGuard,
    /// A step that is taken indefinitely, instead of for the time of a lease.
    NoLease,
    /// An outbox that deletes a row when it is sent, instead of when it is confirmed.
    NoConfirm,
    /// A charge that gets a new idempotency key each time it is sent.
    KeyPerAttempt,
    /// "No such charge" is applied although a charge may have been sent after the lookup.
    NoFence,
    /// A missing answer is treated as a decline.
    TimeoutIsDeclined,
    /// A step whose call got no answer is due again at once.
    RetryAtOnce,
    /// A lookup that found no charge is repeated at once, although one may still be in transit.
    LookupAtOnce,
    /// A message about the payment makes its next step due, whatever it was scheduled for.
    ScheduleOverwritten,
    /// A step is taken although it is not due: another replica's lease has not lapsed.
    TakenTooEarly,
    /// It is not recorded that a charge was sent and may still be in transit.
    ChargeForgotten,
    /// A cancelled payment is not looked at once more, although its charge may come to light late.
    NoLastLook,
    /// A refund that the provider refused is nothing that anybody decides about.
    RefusalForgotten,
    /// A refusal is applied although the refund may have been made by a later attempt.
    NoRefusalFence,
    /// An operator may give money back by other means while the provider may still do so.
    SettledWhileOpen,
    /// The order's deadline passes although a result that came in time is still to be read.
    DeadlineWithoutHearing,
    /// A charge is begun although its time is over.
    ExpiryIgnored,
    /// An operator may have the provider asked although a replica is asking it.
    AskedInHand,
    /// An operator may bring the last look at a cancelled payment forward.
    AskedForLastLook,
    /// An operator who has the provider asked has the charge sent again, instead of looked up.
    AskedToCharge,
}

impl PlantedBug {
    /// Whether it is about the time that an order has. The search for another one leaves that time out, and is as many times
    /// shorter.
    pub const fn is_about_time(self) -> bool {
        matches!(self, Self::DeadlineWithoutHearing | Self::ExpiryIgnored)
    }

    /// Whether the last look at a cancelled payment would make up for it. It is left out then, and every provider keeps to the
    /// time after which a charge must not be carried out, so that nothing else is missed in its place.
    pub const fn last_look_hides_it(self) -> bool {
        matches!(self, Self::NoFence | Self::ChargeForgotten)
    }
}

#[track_caller]
fn is_found(bug: PlantedBug) -> String {
    let found = search(Some(bug));
    let violation =
        found.violation.unwrap_or_else(|| panic!("{bug:?} is not found in {} states", found.states));
    println!("{bug:?}: found after {} states: {violation}", found.states);
    violation
}

#[test]
fn a_missing_order_tombstone_is_found() {
    assert!(is_found(PlantedBug::NoOrderTombstone).contains("forgotten"));
}

#[test]
fn a_missing_payment_tombstone_is_found() {
    assert!(is_found(PlantedBug::NoPaymentTombstone).contains("money was kept"));
}

#[test]
fn a_missing_order_guard_is_found() {
    is_found(PlantedBug::NoOrderGuard);
}

#[test]
fn a_missing_payment_guard_is_found() {
    is_found(PlantedBug::NoPaymentGuard);
}

#[test]
fn a_missing_lease_is_found() {
    assert!(is_found(PlantedBug::NoLease).contains("unsettled"));
}

#[test]
fn a_missing_confirm_is_found() {
    is_found(PlantedBug::NoConfirm);
}

#[test]
fn a_key_per_attempt_is_found() {
    assert!(is_found(PlantedBug::KeyPerAttempt).contains("charged"));
}

#[test]
fn a_missing_fence_is_found() {
    assert!(is_found(PlantedBug::NoFence).contains("money was kept"));
}

#[test]
fn a_timeout_treated_as_declined_is_found() {
    is_found(PlantedBug::TimeoutIsDeclined);
}

#[test]
fn a_retry_without_delay_is_found() {
    assert!(is_found(PlantedBug::RetryAtOnce).contains("steps-wait"));
}

#[test]
fn a_lookup_without_delay_is_found() {
    assert!(is_found(PlantedBug::LookupAtOnce).contains("steps-wait"));
}

#[test]
fn an_overwritten_schedule_is_found() {
    assert!(is_found(PlantedBug::ScheduleOverwritten).contains("steps-wait"));
}

#[test]
fn a_step_that_is_taken_too_early_is_found() {
    assert!(is_found(PlantedBug::TakenTooEarly).contains("steps-wait"));
}

#[test]
fn a_forgotten_charge_is_found() {
    assert!(is_found(PlantedBug::ChargeForgotten).contains("money was kept"));
}

#[test]
fn a_missing_last_look_is_found() {
    assert!(is_found(PlantedBug::NoLastLook).contains("money was kept"));
}

#[test]
fn a_forgotten_refusal_is_found() {
    assert!(is_found(PlantedBug::RefusalForgotten).contains("money was kept"));
}

#[test]
fn a_refusal_that_overwrites_a_refund_is_found() {
    assert!(is_found(PlantedBug::NoRefusalFence).contains("no-gift"));
}

#[test]
fn an_open_refund_that_is_settled_is_found() {
    assert!(is_found(PlantedBug::SettledWhileOpen).contains("no-gift"));
}

#[test]
fn a_deadline_without_hearing_is_found() {
    assert!(is_found(PlantedBug::DeadlineWithoutHearing).contains("late-is-late"));
}

#[test]
fn an_ignored_expiry_is_found() {
    assert!(is_found(PlantedBug::ExpiryIgnored).contains("no-late-charge"));
}

#[test]
fn a_step_in_hand_that_is_asked_for_is_found() {
    assert!(is_found(PlantedBug::AskedInHand).contains("steps-wait"));
}

#[test]
fn a_last_look_that_is_brought_forward_is_found() {
    assert!(is_found(PlantedBug::AskedForLastLook).contains("money was kept"));
}

#[test]
fn a_charge_that_is_sent_again_unlooked_is_found() {
    assert!(is_found(PlantedBug::AskedToCharge).contains("looks-first"));
}
