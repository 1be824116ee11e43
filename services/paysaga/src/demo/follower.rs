//! One order from the moment it is sent until it settles.

use std::time::Duration;

use contracts::order::CreateOrder;
use contracts::{Money, OrderId, OrderStatus, PaymentStatus, UserId};
use serde::{Serialize, Serializer};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::goal::{EndState, Goal, Judgement, Observed};
use super::kind::Kind;
use crate::gateway::{Gateway, GatewayError, Placed, Placing, Trace};
use crate::jaeger::JaegerUrl;

/// How often an order and its payment are read. Times are that precise.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// An order of the demo, and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowedOrder {
    /// Its kind.
    pub kind: Kind,
    /// Its total.
    pub total: Money,
    /// Its id, once it was accepted.
    pub order_id: Option<OrderId>,
    /// Its last known status.
    pub order_status: Option<OrderStatus>,
    /// Its payment's last known status.
    pub payment_status: Option<PaymentStatus>,
    /// The time from sending it until it was seen to have settled, to the next 50 ms.
    #[serde(rename = "settledMs", serialize_with = "milliseconds")]
    pub settled: Option<Duration>,
    /// The trace of the saga.
    #[serde(rename = "traceId")]
    pub trace: Option<Trace>,
    /// How it differs from what its kind should do.
    pub problem: Option<String>,
}

impl FollowedOrder {
    /// Where its trace can be seen.
    #[must_use]
    pub fn trace_page(&self, jaeger: &JaegerUrl) -> Option<String> {
        Some(jaeger.of_trace(&self.trace.as_ref()?.to_string()))
    }
}

/// Places orders and follows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) customer: UserId,
    /// How long an order may take to settle.
    pub(super) timeout: Duration,
}

/// An order did not do what its kind should do.
#[derive(Debug, thiserror::Error)]
enum Deviation {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("one Idempotency-Key gave two orders, {0} and {1}")]
    TwoOrders(OrderId, OrderId),
    #[error("should have become {0}")]
    Missed(Goal),
    #[error("should have become {goal} within {} s{}", .timeout.as_secs(), with_last_error(.last_error.as_ref()))]
    TimedOut { goal: Goal, timeout: Duration, last_error: Option<GatewayError> },
}

impl Follower<'_> {
    /// Follows one order of this kind. What goes wrong is in the result.
    pub(super) async fn follow(self, kind: Kind, total: Money) -> FollowedOrder {
        let mut followed = FollowedOrder {
            kind,
            total,
            order_id: None,
            order_status: None,
            payment_status: None,
            settled: None,
            trace: None,
            problem: None,
        };
        followed.problem = self.run(&mut followed).await.err().map(|deviation| deviation.to_string());
        followed
    }

    async fn run(self, followed: &mut FollowedOrder) -> Result<(), Deviation> {
        let sent = Instant::now();
        let deadline = sent + self.timeout;
        let order = CreateOrder { user_id: self.customer, total: followed.total };
        let placed = match followed.kind {
            Kind::Duplicate => self.place_twice(&order).await?,
            _ => self.gateway.place(&order, Placing::default()).await?,
        };
        let id = placed.order_id;
        (followed.order_id, followed.trace) = (Some(id), placed.trace);
        let cancel_at = match followed.kind {
            Kind::CancelledUnderWay => Some(Goal::ChargeUnderWay),
            Kind::CancelledAfterPaid => Some(Goal::End(EndState::PAID)),
            _ => None,
        };
        if let Some(goal) = cancel_at {
            self.watch(id, goal, deadline, followed).await?;
            // In the order's own trace, so that it shows the whole saga.
            self.gateway.cancel(id, followed.trace.as_ref()).await?;
        }
        self.watch(id, Goal::End(followed.kind.end_state()), deadline, followed).await?;
        followed.settled = Some(sent.elapsed());
        Ok(())
    }

    /// The first of both answers: its trace is the one that the saga belongs to.
    async fn place_twice(self, order: &CreateOrder) -> Result<Placed, Deviation> {
        let key = format!("paysaga-demo-{}", Uuid::new_v4());
        let how = Placing { idempotency_key: Some(&key), ..Placing::default() };
        let first = self.gateway.place(order, how).await?;
        let second = self.gateway.place(order, how).await?;
        if first.order_id == second.order_id {
            Ok(first)
        } else {
            Err(Deviation::TwoOrders(first.order_id, second.order_id))
        }
    }

    /// Polls until the goal is reached. A request that fails is not the end: services may be restarted while the demo
    /// runs, and every order settles all the same.
    async fn watch(
        self,
        id: OrderId,
        goal: Goal,
        deadline: Instant,
        followed: &mut FollowedOrder,
    ) -> Result<(), Deviation> {
        loop {
            let observed = self.observe(id).await;
            if let Ok(observed) = &observed {
                followed.order_status = observed.order.as_ref().map(|order| order.status);
                followed.payment_status = observed.payment.as_ref().map(|payment| payment.status);
                match goal.judge(observed) {
                    Judgement::Reached => return Ok(()),
                    Judgement::Missed => return Err(Deviation::Missed(goal)),
                    Judgement::NotYet => {}
                }
            }
            if Instant::now() >= deadline {
                return Err(Deviation::TimedOut { goal, timeout: self.timeout, last_error: observed.err() });
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn observe(self, id: OrderId) -> Result<Observed, GatewayError> {
        let (order, payment) = tokio::try_join!(self.gateway.order(id), self.gateway.payment_of(id))?;
        Ok(Observed { order, payment })
    }
}

fn with_last_error(error: Option<&GatewayError>) -> String {
    error.map_or_else(String::new, |error| format!("; the last request failed: {error}"))
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn milliseconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
}
