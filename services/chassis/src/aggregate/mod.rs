//! The aggregate of a service, and the one way on which triggers reach it.
//!
//! ```text
//! messages, replays ─┐
//! deadlines ─────────┤
//! due steps ─────────┼→ Applier: lock → load → transition (pure) → save + outbox → commit → publish
//! provider answers ──┘
//! ```
//!
//! A service has one aggregate for each order: what it knows about it. What happens to it is a trigger, and everything
//! that follows is a [`Transition`], which [`Aggregate::transition`] decides without reading a clock or a database. The
//! [`Applier`] does the rest, for every source of triggers alike.

mod apply;
mod batch;
mod changes;
mod early_cancellations;
mod lock;
mod newer;
mod observe;
mod outcome;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;

use contracts::{Envelope, Event, Money, OrderId, OwnerFilter, Timestamp};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use tracing::Span;

pub use apply::Applier;
pub use changes::{Changes, HistoryEntry, Updated};
pub use outcome::{Outcome, Rejection, Stopping};

use crate::database::StoreError;
use crate::telemetry::TraceContext;

/// Most triggers in one transaction, and so most orders that it locks: a service does not start on a
/// PostgreSQL without room for so many locks.
pub const MAX_BATCH: usize = 200;

/// What a service knows about each order, and what can happen to it.
pub trait Aggregate: Send + Sync + 'static {
    /// The table of its rows.
    const TABLE: &'static str;

    /// What an order is to the service.
    type Entity: Clone + PartialEq + Send + Sync;
    /// What can happen to it.
    type Trigger: Send + Sync;
    /// What is to be done outside of the service after the commit.
    type Call: Send;
    /// What calls need that can only be had so many times.
    type Reserved: Send;
    /// A trigger that the contract rules out.
    type Violation: Display;
    /// What the database says about changes while it saves them.
    type Saved: Send;

    /// The trigger that an event is; `None` if the service does not consume events of its type.
    fn trigger(&self, event: &Event) -> Option<Self::Trigger>;

    /// What an order arises from.
    fn cause(entity: &Self::Entity) -> &Cause;

    /// What an order comes to.
    fn amount(entity: &Self::Entity) -> Money;

    /// What logs and traces call it.
    const NAMES: Names;

    /// Where an order, or what the service has of it, stands.
    fn standing(entity: &Self::Entity) -> Standing;

    /// What a trigger that is no message is called in traces.
    fn span_name(trigger: &Self::Trigger) -> &'static str;

    /// Everything that follows from a trigger. Total and idempotent: a trigger that comes again, or too late, changes
    /// nothing.
    fn transition(
        context: &Context<'_>,
        state: &State<Self::Entity>,
        trigger: &Self::Trigger,
    ) -> Result<Transition<Self::Entity, Self::Call>, Self::Violation>;

    /// Reads those of `orders` that have a row. The caller has locked them.
    fn load(
        &self,
        connection: &mut PgConnection,
        orders: &[OrderId],
    ) -> impl Future<Output = Result<Rows<Self::Entity>, StoreError>> + Send;

    /// Counts the rows that are [`Stored::Newer`].
    fn count_newer(&self, pool: &PgPool) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Writes what changed, each change guarded by the state that it starts from.
    fn save(
        &self,
        connection: &mut PgConnection,
        changes: &Changes<'_, Self::Entity>,
    ) -> impl Future<Output = Result<Self::Saved, StoreError>> + Send;

    /// Reserves what calls need that may follow from events, and lets the triggers know.
    fn reserve(&self, triggers: &mut [Triggered<Self::Trigger>]) -> Self::Reserved;

    /// Begins the calls that followed, which are committed; what they don't need is free again.
    fn begin(&self, calls: Vec<Self::Call>, reserved: Self::Reserved);

    /// Called after the commit of changes, with what saving them has returned.
    fn committed(&self, changes: &Changes<'_, Self::Entity>, saved: Self::Saved);
}

/// What logs and traces call what a service knows about an order.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The thing itself, in log messages: `order` as in `order PAID`.
    pub entity: &'static str,
    /// The attribute of spans that has its status before a trigger.
    pub status_before: &'static str,
    /// The attribute that has its status afterwards.
    pub status: &'static str,
    /// The attribute that has the reason of that status, where it may have one.
    pub reason: Option<&'static str>,
    /// The attribute that has the saga's outcome, where the service decides it.
    pub outcome: Option<&'static str>,
}

/// Where an order, or what a service has of it, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its status.
    pub status: &'static str,
    /// Why.
    pub reason: Option<&'static str>,
    /// Whether that is an outcome, and no stage on the way to one.
    pub is_outcome: bool,
}

/// The rows of some orders.
pub type Rows<Entity> = Vec<(OrderId, Stored<Entity>)>;

/// The row of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored<Entity> {
    /// The order.
    Known(Entity),
    /// An order with a status or a step of a newer version, which was here before this one was put back. It is left alone.
    Newer,
}

/// What a service knows about an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State<Entity> {
    /// Nothing.
    Unknown,
    /// That it is to be cancelled if it is one of those that these may cancel. The cancellations overtook the order.
    CancelledEarly(BTreeSet<OwnerFilter>),
    /// The order, as far as it is the service's business.
    Known(Entity),
}

impl<Entity: Clone> State<Entity> {
    /// The same, and an order that is not known yet is to be cancelled.
    #[must_use]
    pub fn cancelled_early_by(&self, by: OwnerFilter) -> Self {
        match self {
            Self::Unknown => Self::CancelledEarly(BTreeSet::from([by])),
            Self::CancelledEarly(others) => {
                Self::CancelledEarly(others.iter().cloned().chain([by]).collect())
            }
            Self::Known(_) => self.clone(),
        }
    }
}

impl<Entity> State<Entity> {
    /// The order, if it is known.
    pub const fn known(&self) -> Option<&Entity> {
        match self {
            Self::Known(entity) => Some(entity),
            Self::Unknown | Self::CancelledEarly(_) => None,
        }
    }
}

/// A trigger on its way to an order.
#[derive(Clone, Debug)]
pub struct Triggered<T> {
    /// Which order.
    pub order_id: OrderId,
    /// What happens to it.
    pub trigger: T,
    /// What it arises from; what the order itself arises from, if that is nothing but the passing of time.
    pub cause: Option<Cause>,
    /// The event that it is, where it is one.
    pub event: Option<Envelope>,
    /// The span of its handling; none if it has no trace before its order's is known.
    pub span: Span,
}

impl<T> Triggered<T> {
    /// A trigger that arises from nothing but its order: its time has come, or an operator has decided.
    pub const fn of_order(order_id: OrderId, trigger: T) -> Self {
        Self { order_id, trigger, cause: None, event: None, span: Span::none() }
    }
}

/// What something arises from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, FromRow, Serialize)]
pub struct Cause {
    /// Joins everything that one request of a client caused.
    pub correlation_id: Option<String>,
    /// Where in which trace.
    #[serde(rename = "trace_context")]
    #[sqlx(json, rename = "trace_context")]
    pub trace: TraceContext,
}

/// What a transition may depend on besides the state and the trigger.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Which order.
    pub order_id: OrderId,
    /// What the trigger arises from, and with it the event that follows.
    pub cause: &'a Cause,
    /// When it is applied, by this process' clock.
    pub now: Timestamp,
}

/// Everything that follows from a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition<Entity, Call> {
    /// What is known from now on, the schedule of what comes next included.
    pub next: State<Entity>,
    /// The event that the other services are to learn of.
    pub event: Option<Event>,
    /// What is to be done outside of the service after the commit.
    pub call: Option<Call>,
    /// Whether the event that the trigger is belongs to the order's history.
    pub is_history: bool,
}

impl<Entity, Call> Transition<Entity, Call> {
    /// Only what is known changes, if anything does.
    pub const fn to(next: State<Entity>) -> Self {
        Self { next, event: None, call: None, is_history: true }
    }

    /// Whether nothing follows.
    pub(crate) fn is_none(&self, state: &State<Entity>) -> bool
    where
        Entity: PartialEq,
    {
        self.next == *state && self.event.is_none() && self.call.is_none()
    }

    /// The same, and the order's history does not grow by it: clients could repeat it without end.
    #[must_use]
    pub fn without_history(self) -> Self {
        Self { is_history: false, ..self }
    }

    /// The same, and the other services learn of an event.
    #[must_use]
    pub fn with_event(self, event: impl Into<Event>) -> Self {
        Self { event: Some(event.into()), ..self }
    }
}
