//! An execution of a request: its answer is stored under its key, and without an answer the key is free again.

use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, StatusCode};
use bytes::Bytes;
use chassis::http::CorrelationId;
use contracts::order::StoredAnswer;
use contracts::{OrderId, OwnerFilter, Problem};
use tokio::time::timeout;
use tracing::debug;

use super::answer::Answer;
use super::claim::IdempotencyKeys;
use crate::bulkhead::Kind;
use crate::upstream::{UpstreamRequest, UpstreamResponse};

/// How long a client waits at most for its answer to be stored. It gets one that could not be stored as well: a duplicate is then
/// executed once more.
const STORING: Duration = Duration::from_secs(1);

/// An execution of a request. Dropped before it has finished, since its client went away, it frees its key.
pub(crate) struct Execution(Option<KeyInUse>);

/// The key of a request that is being executed.
pub(super) struct KeyInUse {
    pub(super) keys: Arc<IdempotencyKeys>,
    pub(super) id: OrderId,
    pub(super) owner: OwnerFilter,
    pub(super) correlation_id: CorrelationId,
}

impl Execution {
    /// An execution of a request without a key.
    pub(super) const fn without_key() -> Self {
        Self(None)
    }

    /// An execution under a key.
    pub(super) const fn of(key: KeyInUse) -> Self {
        Self(Some(key))
    }

    /// The id that the key stands for; none without a key.
    pub(super) fn id(&self) -> Option<OrderId> {
        self.0.as_ref().map(|key| key.id)
    }

    /// Stores the answer, and returns the one that the client gets: that of another execution, if it was stored before. A problem is
    /// not stored.
    pub(crate) async fn finish(mut self, result: Result<StoredAnswer, Problem>) -> Result<Answer, Problem> {
        let answer = match (&self.0, result) {
            (None, result) => result.map(Answer::first),
            (Some(key), Ok(answer)) => Ok(key.store(answer).await),
            (Some(key), Err(problem)) => {
                key.free().await;
                Err(problem)
            }
        };
        self.0 = None;
        answer
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        if let Some(key) = self.0.take() {
            let tasks = key.keys.tasks.clone();
            tasks.spawn(async move { key.free().await });
        }
    }
}

impl KeyInUse {
    async fn store(&self, answer: StoredAnswer) -> Answer {
        let Ok(body) = serde_json::to_vec(&answer) else { return Answer::first(answer) };
        let stored = self.send(Method::PUT, "/idempotency-keys/{id}/answer", body.into()).await;
        let earlier = stored.filter(|response| response.status == StatusCode::OK);
        match earlier.and_then(|response| serde_json::from_slice(&response.body).ok()) {
            Some(earlier) => Answer::replayed(earlier),
            None => Answer::first(answer),
        }
    }

    async fn free(&self) {
        self.send(Method::DELETE, "/idempotency-keys/{id}/execution", Bytes::new()).await;
    }

    /// What the order service says to it in time. If it says nothing, the execution's lease ends by itself.
    async fn send(&self, method: Method, template: &'static str, body: Bytes) -> Option<UpstreamResponse> {
        let path = template.replace("{id}", &self.id.to_string());
        let request = UpstreamRequest {
            method,
            kind: Kind::Change,
            body,
            ..UpstreamRequest::get(template, path, self.owner.clone(), &self.correlation_id)
        };
        let response = timeout(STORING, self.keys.order.send(&request)).await.ok().and_then(Result::ok);
        if !response.as_ref().is_some_and(|response| response.status.is_success()) {
            debug!("what became of a request could not be stored under its idempotency key");
        }
        response
    }
}
