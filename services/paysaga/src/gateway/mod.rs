//! A client of the gateway: the contract's requests with the contract's types.

mod address;
mod api_key;
mod error;
mod failed_messages;
mod key_uses;
mod overview;
mod refunds;
mod replays;
mod trace;

use std::fmt;
use std::time::Duration;

use contracts::order::{
    CancelOrderAccepted, CreateOrder, CreateOrderAccepted, Order, Timeline, TimelineEntry,
};
use contracts::page::{Page, PageRequest};
use contracts::payment::{Payment, PaymentStats};
use contracts::{OrderId, PaymentId, Word};
use local_stack::http::ClientError;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::http_client;

pub use address::{GatewayUrl, InvalidGatewayUrl};
pub use api_key::{ApiKey, ApiKeyError};
pub use error::{GatewayError, Refusal};
pub use replays::ReplayChange;
pub use trace::Trace;

/// How long the gateway may take to answer, beyond the wait that was asked for.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The header with the trace and the parent span of a request (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// A client of one gateway. Nothing is sent twice: a command that got no answer may have been accepted.
#[derive(Clone, Debug)]
pub struct Gateway {
    url: GatewayUrl,
    api_key: Option<ApiKey>,
    client: Client,
    traces_reads: bool,
}

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    /// The page's number, from 1.
    pub page: u64,
    /// Most items on it, from 1 to 100.
    pub limit: u64,
}

impl Paging {
    /// A page that holds as many items as a page may.
    #[must_use]
    pub fn largest(page: u64) -> Self {
        Self { page, limit: PageRequest::MAX_LIMIT.into() }
    }
}

impl fmt::Display for Paging {
    /// As a part of a query string.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "page={}&limit={}", self.page, self.limit)
    }
}

/// How an order is placed, beyond its content.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placing<'a> {
    /// The same key and the same order give one order, however often they are sent.
    pub idempotency_key: Option<&'a str>,
    /// Answer only once the order has settled, or after this time. Whole seconds; the gateway waits 30 s at most.
    pub wait: Option<Duration>,
}

/// An order that the gateway accepted.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The order's id.
    pub order_id: OrderId,
    /// The order as it settled, if that was waited for and came in time.
    pub settled: Option<Order>,
    /// The trace of the whole saga.
    pub trace: Option<Trace>,
}

impl Gateway {
    /// The same gateway for another caller.
    #[must_use]
    pub fn with_key(&self, api_key: Option<ApiKey>) -> Self {
        Self { api_key, ..self.clone() }
    }

    /// A client for the gateway at `url`; nothing is sent yet.
    pub fn new(url: GatewayUrl, api_key: Option<ApiKey>) -> Result<Self, ClientError> {
        let client = http_client::builder(url.is_encrypted())?
            .connect_timeout(Duration::from_secs(5))
            // The gateway closes connections that were idle for 5 s; a request must not meet that.
            .pool_idle_timeout(Duration::from_secs(3))
            .redirect(Policy::none())
            .build()?;
        Ok(Self { url, api_key, client, traces_reads: true })
    }

    /// The same gateway for a caller that asks again and again: what it reads is recorded in no trace, so that the traces of what it
    /// waits for are not buried. The gateway listens to that of callers with a key.
    #[must_use]
    pub fn without_traces_of_reads(self) -> Self {
        Self { traces_reads: false, ..self }
    }

    /// The gateway's address.
    #[must_use]
    pub const fn url(&self) -> &GatewayUrl {
        &self.url
    }

    /// The gateway's port, if it is at an address of this machine that only this machine reaches.
    #[must_use]
    pub fn local_port(&self) -> Option<u16> {
        self.url.local_port()
    }

    /// `POST /api/orders`
    pub async fn place(&self, order: &CreateOrder, how: Placing<'_>) -> Result<Placed, GatewayError> {
        let mut request = self.request(Method::POST, "/api/orders").json(order);
        if let Some(key) = how.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(wait) = how.wait {
            request = request
                .header("prefer", format!("wait={}", wait.as_secs()))
                .timeout(wait.saturating_add(TIMEOUT));
        }
        let response = self.send(request).await?;
        let trace = response.headers().get(TRACEPARENT).and_then(Trace::of_traceparent);
        // 200 is the settled order, 202 the promise of one.
        let (order_id, settled) = if response.status() == StatusCode::OK {
            let order: Order = self.body(response).await?;
            (order.id, Some(order))
        } else {
            (self.body::<CreateOrderAccepted>(response).await?.order_id, None)
        };
        Ok(Placed { order_id, settled, trace })
    }

    /// `PATCH /api/orders/{id}/cancel`, as a part of `trace`.
    pub async fn cancel(&self, order: OrderId, trace: Option<&Trace>) -> Result<(), GatewayError> {
        let mut request = self.request(Method::PATCH, &format!("/api/orders/{order}/cancel"));
        if let Some(trace) = trace {
            request = request.header(TRACEPARENT, trace.traceparent());
        }
        self.body::<CancelOrderAccepted>(self.send(request).await?).await.map(drop)
    }

    /// `GET /api/orders/{id}`; `None` if there is none yet. A [`Word`] takes what only a newer version knows, too.
    pub async fn order<Status: DeserializeOwned, Reason: DeserializeOwned>(
        &self,
        order: OrderId,
    ) -> Result<Option<Order<Status, Reason>>, GatewayError> {
        self.find(&format!("/api/orders/{order}")).await
    }

    /// `GET /api/orders`, newest first.
    pub async fn orders(&self, paging: Paging) -> Result<Page<Order<Word, Word>>, GatewayError> {
        self.get(&format!("/api/orders?{paging}")).await
    }

    /// `GET /api/orders/{id}/events`, to its end; `None` if the gateway knows nothing of the order.
    pub async fn timeline(
        &self,
        order: OrderId,
    ) -> Result<Option<Vec<TimelineEntry<Word, Word>>>, GatewayError> {
        const LIMIT: u32 = PageRequest::MAX_LIMIT;
        let mut events: Vec<TimelineEntry<Word, Word>> = Vec::new();
        loop {
            let after = events.last().map(|last| format!("&after={}", last.event_id)).unwrap_or_default();
            let path = format!("/api/orders/{order}/events?limit={LIMIT}{after}");
            let Some(page) = self.find::<Timeline<TimelineEntry<Word, Word>>>(&path).await? else {
                return Ok((!events.is_empty()).then_some(events));
            };
            let is_last = page.events.len() < LIMIT as usize;
            events.extend(page.events);
            if is_last {
                return Ok(Some(events));
            }
        }
    }

    /// `GET /api/payments`, newest first.
    pub async fn payments(&self, paging: Paging) -> Result<Page<Payment<Word>>, GatewayError> {
        self.get(&format!("/api/payments?{paging}")).await
    }

    /// `GET /api/payments/order/{orderId}`; `None` if there is none yet.
    pub async fn payment_of<Status: DeserializeOwned>(
        &self,
        order: OrderId,
    ) -> Result<Option<Payment<Status>>, GatewayError> {
        self.find(&format!("/api/payments/order/{order}")).await
    }

    /// `GET /api/payments/{id}`; `None` if there is none.
    pub async fn payment(&self, id: PaymentId) -> Result<Option<Payment<Word>>, GatewayError> {
        self.find(&format!("/api/payments/{id}")).await
    }

    /// `GET /api/payments/stats`
    pub async fn payment_stats(&self) -> Result<PaymentStats<Word>, GatewayError> {
        self.get("/api/payments/stats").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, GatewayError> {
        let mut request = self.request(Method::GET, path);
        if !self.traces_reads {
            request = request.header(TRACEPARENT, trace::not_recorded());
        }
        self.body(self.send(request).await?).await
    }

    async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, GatewayError> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND.as_u16()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.url.of(path)).timeout(TIMEOUT);
        match &self.api_key {
            Some(key) => request.header(header::AUTHORIZATION, key.bearer()),
            None => request,
        }
    }

    /// Sends a request; an answer that is no success is an error.
    async fn send(&self, request: RequestBuilder) -> Result<Response, GatewayError> {
        let response = request.send().await.map_err(|error| GatewayError::no_answer(&self.url, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        Err(GatewayError::refused(&self.url, status, &text))
    }

    async fn text(&self, response: Response) -> Result<String, GatewayError> {
        response.text().await.map_err(|error| GatewayError::no_answer(&self.url, error))
    }

    async fn body<T: DeserializeOwned>(&self, response: Response) -> Result<T, GatewayError> {
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| GatewayError::no_answer(&self.url, error))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| GatewayError::unexpected(&self.url, status, &error.to_string()))
    }
}
