//! One order from the moment it is sent to its end.

use std::time::Duration;

use contracts::order::CreateOrder;
use contracts::{Money, OrderId, OrderStatus, PaymentStatus, UserId};
use serde::{Serialize, Serializer};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::goal::{Ending, Goal, Judgement, Seen};
use super::kind::Kind;
use crate::gateway::{Gateway, GatewayError, Placed, Placing, Trace};

/// How often an order and its payment are looked at. Times are that precise.
const INTERVAL: Duration = Duration::from_millis(50);

/// How it went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    /// Which kind of order.
    pub kind: Kind,
    /// What it cost.
    pub total: Money,
    /// The order, once it was taken.
    pub order_id: Option<OrderId>,
    /// Where the order was seen last.
    pub order_status: Option<OrderStatus>,
    /// Where its payment was seen last.
    pub payment_status: Option<PaymentStatus>,
    /// From the moment it was sent to the moment both were seen at their end, to the next 50 ms.
    #[serde(rename = "settledMs", serialize_with = "milliseconds")]
    pub settled: Option<Duration>,
    /// The trace of the saga.
    #[serde(rename = "traceId")]
    pub trace: Option<Trace>,
    /// Why it is not as it should be.
    pub problem: Option<String>,
}

/// Places orders and follows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) customer: UserId,
    /// How long an order may take to its end.
    pub(super) patience: Duration,
}

/// An order did not go the way of its kind.
#[derive(Debug, thiserror::Error)]
enum Deviation {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("one Idempotency-Key gave two orders, {0} and {1}")]
    TwoOrders(OrderId, OrderId),
    #[error("should have become {0}")]
    Missed(Goal),
    #[error("should have become {goal} within {} s{}", .patience.as_secs(), because(.trouble.as_ref()))]
    TooLate { goal: Goal, patience: Duration, trouble: Option<GatewayError> },
}

impl Follower<'_> {
    /// Follows one order of this kind. What goes wrong is in the result.
    pub(super) async fn follow(self, kind: Kind, total: Money) -> Course {
        let mut course = Course {
            kind,
            total,
            order_id: None,
            order_status: None,
            payment_status: None,
            settled: None,
            trace: None,
            problem: None,
        };
        course.problem = self.run(&mut course).await.err().map(|deviation| deviation.to_string());
        course
    }

    async fn run(self, course: &mut Course) -> Result<(), Deviation> {
        let sent = Instant::now();
        let deadline = sent + self.patience;
        let order = CreateOrder { user_id: self.customer, total: course.total };
        let placed = match course.kind {
            Kind::Duplicate => self.place_twice(&order).await?,
            _ => self.gateway.place(&order, Placing::default()).await?,
        };
        let id = placed.order_id;
        (course.order_id, course.trace) = (Some(id), placed.trace);
        let cancel_at = match course.kind {
            Kind::CancelledUnderWay => Some(Goal::ChargeUnderWay),
            Kind::CancelledAfterPaid => Some(Goal::End(Ending::PAID)),
            _ => None,
        };
        if let Some(goal) = cancel_at {
            self.watch(id, goal, deadline, course).await?;
            // In the order's own trace, so that it shows the whole saga.
            self.gateway.cancel(id, course.trace.as_ref()).await?;
        }
        self.watch(id, Goal::End(course.kind.ending()), deadline, course).await?;
        course.settled = Some(sent.elapsed());
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

    /// Looks until the goal is reached. A look that fails is not the end: services may be restarted while the demo
    /// runs, and no order is the worse for it.
    async fn watch(
        self,
        id: OrderId,
        goal: Goal,
        deadline: Instant,
        course: &mut Course,
    ) -> Result<(), Deviation> {
        loop {
            let looked = self.look(id).await;
            if let Ok(seen) = &looked {
                course.order_status = seen.order.as_ref().map(|order| order.status);
                course.payment_status = seen.payment.as_ref().map(|payment| payment.status);
                match goal.judge(seen) {
                    Judgement::Reached => return Ok(()),
                    Judgement::Missed => return Err(Deviation::Missed(goal)),
                    Judgement::NotYet => {}
                }
            }
            if Instant::now() >= deadline {
                return Err(Deviation::TooLate { goal, patience: self.patience, trouble: looked.err() });
            }
            sleep(INTERVAL).await;
        }
    }

    async fn look(self, id: OrderId) -> Result<Seen, GatewayError> {
        let (order, payment) = tokio::try_join!(self.gateway.order(id), self.gateway.payment_of(id))?;
        Ok(Seen { order, payment })
    }
}

fn because(trouble: Option<&GatewayError>) -> String {
    trouble.map_or_else(String::new, |trouble| format!("; at last {trouble}"))
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn milliseconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
}
