//! The payment's part of the saga: pure functions, no clock, no I/O.
//!
//! ```text
//! unknown ── order.created ──→ PROCESSING ── approved ──→ APPROVED ── order cancelled ──→ (refund) ──→ REFUNDED
//!    │                             ├── declined ──→ DECLINED, or CANCELLED if the order was cancelled meanwhile
//!    │                             ├── failed ──→ FAILED
//!    │                             └── order cancelled, nothing charged ──→ CANCELLED, and a last look later
//!    └── order.cancelled ──→ cancelled early ── order.created ──→ CANCELLED
//! ```
//!
//! What the provider is to be asked next, and when, is part of the state ([`NextStep`]). It is committed before the
//! provider is called, so a crash at any point leaves a payment that another replica goes on with: a charge that was
//! begun is looked up before it is ever sent again, and it is always sent under the same key.
//!
//! A refund that the provider refuses for good has no next step: the payment stays what it is, the refund is `Refused`,
//! and an operator decides whether the provider is asked again or the money went back by other means. An operator may also cut the
//! pause after an attempt that brought nothing short.

mod decision;
mod refund;
mod retry_delay;
mod schedule;
mod state;
mod transition;
mod trigger;

pub use decision::Undecidable;
pub use retry_delay::retry_delay;
pub use schedule::ProviderCall;
pub use state::{
    Due, Expiry, LastCharge, NextStep, Payment, PaymentState, Refund, RefundRecord, Step, StepReason,
};
pub use transition::{Transition, transition};
pub use trigger::{Decision, Trigger};
