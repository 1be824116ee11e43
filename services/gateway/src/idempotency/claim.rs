//! Claims of keys at the order service. Several gateways may receive one key at once, so the order service decides which request
//! is executed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::{Method, StatusCode};
use bytes::Bytes;
use chassis::http::{Caller, CorrelationId, Request};
use chassis::tasks::Tasks;
use chassis::telemetry::TraceContext;
use contracts::order::{IdempotencyClaim, IdempotencyClaimed};
use contracts::{OrderId, OwnerFilter, Problem, ProblemType};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{Span, error};
use uuid::Uuid;

use super::answer::Answer;
use super::execution::{Execution, KeyInUse};
use crate::bulkhead::Kind;
use crate::preference;
use crate::shares::Shares;
use crate::upstream::{Upstream, UpstreamRequest};

/// How long a concurrent request waits for the answer to the one that is being executed, unless it says so (`Prefer: wait`).
const USUAL_WAIT: Duration = Duration::from_secs(2);

/// The pause before the order service is asked again whether there is an answer.
const PAUSE: Duration = Duration::from_millis(150);

/// What an execution may take besides its message to the broker. If it takes longer, a duplicate is executed as well, which is
/// harmless.
const SPARE: Duration = Duration::from_secs(1);

/// The keys of all clients, as the order service stores them.
pub(crate) struct IdempotencyKeys {
    pub(super) order: Arc<Upstream>,
    /// End what clients left behind.
    pub(super) tasks: Tasks,
    shares: Arc<Shares>,
    lease: Duration,
    /// Cancelled when the gateway is told to stop.
    stopping: CancellationToken,
}

/// A claim as it is sent, once or again.
struct Sent<'a> {
    body: Bytes,
    /// Names the request: a claim that was made although its answer was lost is not another request's.
    request: Uuid,
    correlation_id: &'a CorrelationId,
}

/// What is to be done with a request.
pub(crate) enum Begun {
    /// It is executed.
    Execution(Execution),
    /// It is a duplicate: this is the answer to the first one.
    Answered(OrderId, Answer),
}

impl Begun {
    /// The id that the key stands for; none without a key.
    pub(crate) fn id(&self) -> Option<OrderId> {
        match self {
            Self::Execution(execution) => execution.id(),
            Self::Answered(id, _) => Some(*id),
        }
    }
}

impl IdempotencyKeys {
    /// Keys that the order service stores. A message may take `publish_timeout` to the broker.
    pub(crate) fn new(
        order: Arc<Upstream>,
        shares: Arc<Shares>,
        publish_timeout: Duration,
        tasks: Tasks,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self { order, tasks, shares, lease: publish_timeout + SPARE, stopping })
    }

    /// Begins a request, whose key is claimed if it has one. 422 if the key stands for another request, 409 if the same one is
    /// being executed for longer than this one waits.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        request: &Request,
        caller: &Caller,
        claim: Option<IdempotencyClaim>,
    ) -> Result<Begun, Problem> {
        let Some(claim) = claim else { return Ok(Begun::Execution(Execution::without_key())) };
        let correlation_id = &request.correlation_id;
        let body = serde_json::to_vec(&claim).map_err(|error| not_serialisable(&error))?;
        let sent = Sent { body: body.into(), request: Uuid::new_v4(), correlation_id };
        let mut claimed = self.claim(&sent).await?;
        if claimed.is_in_progress {
            let time = preference::wait(&request.headers).unwrap_or(USUAL_WAIT);
            claimed = self.wait(caller, &sent, time).await?;
        }
        note_repetition(&claimed);
        let id = claimed.order_id;
        Ok(match claimed.answer {
            Some(answer) => Begun::Answered(id, Answer::replayed(answer)),
            None => Begun::Execution(Execution::of(KeyInUse {
                keys: Arc::clone(self),
                id,
                owner: claim.owner.into(),
                correlation_id: correlation_id.clone(),
            })),
        })
    }

    /// Claims the key again until the request that is being executed has an answer, or its lease has ended.
    async fn wait(
        &self,
        caller: &Caller,
        sent: &Sent<'_>,
        time: Duration,
    ) -> Result<IdempotencyClaimed, Problem> {
        let Some(_place) = self.shares.wait(caller) else { return Err(in_progress()) };
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(in_progress());
            }
            tokio::select! {
                () = self.stopping.cancelled() => return Err(in_progress()),
                () = sleep(PAUSE.min(left)) => {}
            }
            let claimed = self.claim(sent).await?;
            if !claimed.is_in_progress {
                return Ok(claimed);
            }
        }
    }

    async fn claim(
        &self,
        Sent { body, request, correlation_id }: &Sent<'_>,
    ) -> Result<IdempotencyClaimed, Problem> {
        let template = "/idempotency-keys";
        let path = format!("{template}?lease={}&request={request}", self.lease.as_millis());
        let request = UpstreamRequest {
            method: Method::PUT,
            kind: Kind::Change,
            body: body.clone(),
            ..UpstreamRequest::get(template, path, OwnerFilter::Any, correlation_id)
        };
        let response = self.order.send(&request).await?;
        let not_kept = || {
            Problem::new(ProblemType::UnexpectedAnswer, "The order service does not keep idempotency keys.")
        };
        match response.status {
            StatusCode::OK => serde_json::from_slice(&response.body).map_err(|_| not_kept()),
            StatusCode::UNPROCESSABLE_ENTITY => Err(Problem::new(
                ProblemType::IdempotencyKeyReused,
                "This Idempotency-Key was used with another request. Use a new key for this one.",
            )),
            status => {
                error!(%status, "unexpected response of the order service to an idempotency key");
                Err(not_kept())
            }
        }
    }
}

fn in_progress() -> Problem {
    let detail = "A request with this Idempotency-Key is being executed. Send this one again after the time in Retry-After, to get \
                  its answer.";
    Problem { retry_after: Some(1), ..Problem::new(ProblemType::IdempotencyKeyInUse, detail) }
}

/// Says in the trace that a request repeats another, and links to that.
fn note_repetition(claimed: &IdempotencyClaimed) {
    if claimed.is_repeated {
        let placed_at = claimed.placed_at.clone().map(TraceContext::from_traceparent);
        placed_at.unwrap_or_default().repeated_in(&Span::current());
    }
}

fn not_serialisable(error: &serde_json::Error) -> Problem {
    error!(%error, "the claim of an idempotency key could not be written as JSON");
    Problem::new(ProblemType::InternalError, "The request could not be handled.")
}
