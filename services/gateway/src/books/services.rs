//! What is asked of the order and payment services.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chassis::http::CorrelationId;
use chassis::telemetry::TraceContext;
use contracts::books::BooksState;
use contracts::books::exchange::{
    ChangedOrders, KeptBooks, LeaseRequest, OrderRows, PaymentRows, RecordsAfter, StoreRequest, WantedOrders,
};
use contracts::feed::EventCursor;
use contracts::{OrderId, OwnerFilter};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::bulkhead::Kind;
use crate::upstream::{Upstream, UpstreamRequest};

/// The largest state that is sent, in bytes: a body may have 64 KiB.
const LARGEST_STATE: usize = 60 * 1024;

/// Why the check can't go on at the moment.
pub(super) enum Failure {
    /// A service is away, or has too much to do.
    Unavailable(String),
    /// A service is of a version before, or another one's.
    Unsupported(&'static str),
    /// The order database was set back behind the cursor.
    Restored,
    /// Another gateway has the lease.
    LeaseLost,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(reason) => write!(formatter, "a service is not available ({reason})"),
            Self::Unsupported(service) => write!(formatter, "the {service} service is of another version"),
            Self::Restored => write!(formatter, "the order database was set back"),
            Self::LeaseLost => write!(formatter, "another gateway has the lease"),
        }
    }
}

/// Both services, asked in one gateway's name.
pub(super) struct Services {
    order: Arc<Upstream>,
    payment: Arc<Upstream>,
    /// Names this gateway.
    holder: Uuid,
    correlation_id: CorrelationId,
    /// Asked too often to be seen in traces.
    trace: TraceContext,
}

/// One request.
struct Question {
    method: Method,
    route: &'static str,
    query: String,
    body: Bytes,
}

impl Question {
    fn get(route: &'static str, query: String) -> Self {
        Self { method: Method::GET, route, query, body: Bytes::new() }
    }

    fn with_body(method: Method, route: &'static str, body: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::Unavailable(error.to_string()))?;
        Ok(Self { method, route, query: String::new(), body: body.into() })
    }
}

impl Services {
    pub(super) fn new(order: Arc<Upstream>, payment: Arc<Upstream>) -> Self {
        let holder = Uuid::new_v4();
        let trace = TraceContext::from_traceparent(format!(
            "00-{}-{:016x}-00",
            holder.simple(),
            holder.as_u64_pair().1
        ));
        Self { order, payment, holder, correlation_id: CorrelationId(holder.to_string().into()), trace }
    }

    /// Takes the check on, if no other gateway has it; returns what is known.
    pub(super) async fn lease(&self) -> Result<KeptBooks, Failure> {
        let request = LeaseRequest { holder: self.holder };
        let question = Question::with_body(Method::POST, "/books/lease", &request)?;
        self.ask(&self.order, "order", question, Kind::Change).await
    }

    /// Stores the state, and keeps the lease.
    pub(super) async fn store(&self, state: &mut BooksState) -> Result<KeptBooks, Failure> {
        loop {
            let request = StoreRequest { holder: self.holder, state: &*state };
            let question = Question::with_body(Method::PUT, "/books", &request)?;
            if question.body.len() > LARGEST_STATE && state.disagreements.pop().is_some() {
                state.count_further();
                continue;
            }
            return self.ask(&self.order, "order", question, Kind::Change).await;
        }
    }

    /// Which orders changed.
    pub(super) async fn changes(&self, after: Option<EventCursor>) -> Result<ChangedOrders, Failure> {
        let query = after.map_or_else(String::new, |after| format!("?after={after}"));
        self.ask(&self.order, "order", Question::get("/books/changes", query), Kind::Page).await
    }

    /// The records of some orders. The payments come first, so that the order of each payment is there.
    pub(super) async fn records_of(&self, orders: &[OrderId]) -> Result<(OrderRows, PaymentRows), Failure> {
        let wanted = WantedOrders { orders: orders.to_vec() };
        let question = Question::with_body(Method::POST, "/books/payments", &wanted)?;
        let payments = self.ask(&self.payment, "payment", question, Kind::Page).await?;
        let question = Question::with_body(Method::POST, "/books/orders", &wanted)?;
        Ok((self.ask(&self.order, "order", question, Kind::Page).await?, payments))
    }

    /// The next records of each service by the orders' ids.
    pub(super) async fn records_after(
        &self,
        wanted: RecordsAfter,
    ) -> Result<(OrderRows, PaymentRows), Failure> {
        let question = Question::get("/books/payments", wanted.to_string());
        let payments = self.ask(&self.payment, "payment", question, Kind::Page).await?;
        let question = Question::get("/books/orders", wanted.to_string());
        Ok((self.ask(&self.order, "order", question, Kind::Page).await?, payments))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        service: &Upstream,
        name: &'static str,
        question: Question,
        kind: Kind,
    ) -> Result<T, Failure> {
        let Question { method, route, query, body } = question;
        let path = format!("{route}{query}");
        let request = UpstreamRequest {
            method,
            kind,
            body,
            beside_trace: Some(&self.trace),
            ..UpstreamRequest::get(route, path, OwnerFilter::Any, &self.correlation_id)
        };
        let unavailable = |reason: String| Failure::Unavailable(format!("{name}: {reason}"));
        let answer = service.send(&request).await.map_err(|error| unavailable(format!("{error:?}")))?;
        match answer.status {
            StatusCode::OK => {
                serde_json::from_slice(&answer.body).map_err(|error| unavailable(error.to_string()))
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Err(Failure::Unsupported(name)),
            StatusCode::GONE => Err(Failure::Restored),
            StatusCode::CONFLICT => Err(Failure::LeaseLost),
            status => Err(unavailable(format!("it answered {status}"))),
        }
    }
}
