//! The books: whether orders, payments and the provider's charges fit together, checked all the time.
//!
//! ```text
//! rows (of both services) → records → judge (pure) → what does not fit
//! exchange: how the gateway reads rows and keeps the state of the running check → Books, for operators
//! ```

pub mod exchange;
pub mod judge;
pub mod records;
pub mod rows;
mod state;

pub use state::{BooksState, PassState};

use serde::{Deserialize, Serialize};

use crate::{MoneyTotal, OrderId, Timestamp};

/// Most disagreements that are kept; further ones are counted.
pub const MOST_DISAGREEMENTS: usize = 100;

/// `GET /api/admin/books`: what the running check has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Books {
    /// Whether they balance, as of the last full pass and everything that changed since.
    pub verdict: BooksVerdict,
    /// What changed until then was compared, but for what is in flight; absent before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_until: Option<Timestamp>,
    /// Orders that changed and are compared again when they have had time to settle.
    pub in_flight: u64,
    /// The last full pass that came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<FullPass>,
    /// The full pass that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<PassProgress>,
    /// What does not fit, the latest first; at most [`MOST_DISAGREEMENTS`].
    pub disagreements: Vec<Disagreement>,
    /// How many do not fit.
    pub disagreement_count: u64,
}

/// The books in a line, as the overview has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BooksSummary {
    /// Whether they balance.
    pub verdict: BooksVerdict,
    /// What changed until then was compared, but for what is in flight; absent before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_until: Option<Timestamp>,
    /// Orders that are compared again when they have had time to settle.
    pub in_flight: u64,
    /// How many do not fit.
    pub disagreements: u64,
}

impl From<&Books> for BooksSummary {
    fn from(books: &Books) -> Self {
        let Books { verdict, compared_until, in_flight, disagreement_count: disagreements, .. } = *books;
        Self { verdict, compared_until, in_flight, disagreements }
    }
}

/// Whether the books balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BooksVerdict {
    /// Everything that has settled agrees.
    Balanced,
    /// Something does not agree, or did not when it was compared last.
    Disagree,
    /// Nothing that disagrees is known, but no full pass has come to its end, or the check has been held up for more than five
    /// minutes.
    Unknown,
}

/// A comparison of all orders and payments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FullPass {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Orders that it read, and payments without one.
    pub orders: u64,
    /// Those that were in flight. They are in neither sum.
    pub in_flight: u64,
    /// Rows of a newer version, which are not judged.
    pub newer_rows: u64,
    /// What the `PAID` orders come to.
    pub paid: MoneyTotal,
    /// What was charged and not given back: as much as `paid`, but for what the disagreements make of it. Absent where the provider's books can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<MoneyTotal>,
}

/// A comparison of all orders and payments that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PassProgress {
    /// When it began.
    pub started_at: Timestamp,
    /// Orders that it has read, and payments without one.
    pub orders: u64,
}

/// Body of `POST /api/admin/books/pass`, and of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PassRequest {
    /// Why everything is to be compared now.
    pub reason: String,
}

/// An order whose records do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Disagreement {
    /// The invariant that does not hold (docs/INVARIANTS.md).
    pub invariant: String,
    /// The order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The member in which the records differ: `status`, `amount`, `charge` or `refund`.
    pub member: String,
    /// What the order service has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// What the payment service has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// What the provider has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// All of it in a sentence.
    pub what: String,
    /// Since when it is known.
    pub since: Timestamp,
}
