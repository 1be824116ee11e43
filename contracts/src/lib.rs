//! What crosses a process boundary: the nine events and their envelope, the broker topology and its definitions, statuses, money,
//! HTTP bodies and problem details.
//!
//! The wire is fixed: existing clients and the NestJS services that paysaga replaces already speak it, so every
//! name here that serde writes is part of a contract. The golden files in `contracts/tests/golden` hold one example
//! of each.
//!
//! The crate is pure: no I/O and no async runtime; the only effects are new random ids and the reading of the clock. The
//! feature `postgres` adds how PostgreSQL stores ids, statuses, amounts and times.

pub mod api_key;
pub mod ask_now;
pub mod audit_chain;
pub mod audit_list;
pub mod audit_record;
pub mod books;
pub mod changes;
pub mod definitions;
pub mod diagnosis;
pub mod envelope;
pub mod event;
pub mod failed_message;
mod failure_cause;
pub mod feed;
pub mod header;
pub mod health;
pub mod id;
pub mod list;
pub mod load;
pub mod money;
pub mod order;
pub mod overview;
pub mod owner;
pub mod page;
pub mod payment;
#[cfg(feature = "postgres")]
mod postgres;
pub mod problem;
mod problem_type;
pub mod refund;
pub mod replay;
#[cfg(feature = "schema")]
pub mod schema;
pub mod search;
pub mod status;
pub mod timestamp;
pub mod topology;

pub use envelope::{DecodeError, EncodedEnvelope, Envelope};
pub use event::{Event, EventType};
pub use failure_cause::failure_cause;
pub use id::{EventId, IdempotencyKey, IdempotencySecret, OrderId, PaymentId, UserId};
pub use money::{Money, MoneyTotal};
pub use owner::{Owner, OwnerFilter};
pub use problem::Problem;
pub use problem_type::{ProblemDescription, ProblemType};
pub use status::{CancelReason, OrderStatus, PaymentStatus};
pub use timestamp::Timestamp;

/// A status or another name as it is stored: it may be one that only a newer version knows. Services pass such words on to
/// clients as they are.
pub type Word = String;
