//! What became of requests with an `Idempotency-Key`. The gateways execute them; which of two duplicates is executed, and which waits
//! for the other's answer, is decided here.
//!
//! ```text
//! PUT    /idempotency-keys?lease&request  a first-time request: it is executed. A duplicate: the answer, or "in progress"
//! PUT    /idempotency-keys/{id}/answer    it was executed
//! DELETE /idempotency-keys/{id}/execution it was not, and may be sent again at once
//! ```
//!
//! An execution has a lease, since its gateway may vanish. Two executions of one request are harmless: their ids are derived
//! from the key, and the first answer that is stored stays.

use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError};
use chassis::http::{self, Request, Response, Routes, route};
use contracts::order::{IdempotencyClaim, IdempotencyClaimed, StoredAnswer};
use contracts::{IdempotencySecret, Problem, ProblemType};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::http::milliseconds;
use crate::store::idempotency_keys::{self, Claimed, Executing};

/// The longest lease of an execution; if a gateway asks for a longer one, it gets this.
const LONGEST_LEASE: Duration = Duration::from_mins(1);

pub(crate) fn routes(connections: Connections, secret: Secret) -> Routes {
    let keys = Arc::new(Keys { connections, secret });
    Routes::new(
        keys,
        [
            route(Method::PUT, "/idempotency-keys", claim),
            route(Method::PUT, "/idempotency-keys/{id}/answer", store_answer),
            route(Method::DELETE, "/idempotency-keys/{id}/execution", end_execution),
        ],
    )
}

struct Keys {
    connections: Connections,
    secret: Secret,
}

/// What the ids of keyed orders are derived with. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Secret(Arc<OnceCell<IdempotencySecret>>);

impl Secret {
    /// Read once, when it is first needed: the schema may be still to be made when the service begins to listen.
    pub(crate) async fn get(&self, connections: &Connections) -> Result<&IdempotencySecret, StoreError> {
        self.0.get_or_try_init(|| idempotency_keys::secret(connections)).await
    }
}

/// Answers 200 and what the key stands for if that is this request (now or already), 422 if it stands for another one. A gateway of
/// a version before gives no lease: it executes each duplicate, and stores no answer.
async fn claim(keys: Arc<Keys>, request: Request) -> Result<Response, Problem> {
    let lease = milliseconds(&request, "lease")?.map(|lease| lease.min(LONGEST_LEASE));
    let named = request.query_parameter("request").and_then(|text| text.parse().ok());
    let executing = lease.map(|lease| Executing { request: named.unwrap_or_else(Uuid::new_v4), lease });
    let claim: IdempotencyClaim = request.json().await?;
    let secret = keys.secret.get(&keys.connections).await?;
    let claimed = idempotency_keys::claim(&keys.connections, secret, &claim, executing).await?;
    if claimed.fingerprint != claim.fingerprint {
        return Err(Problem::new(
            ProblemType::IdempotencyKeyReused,
            "The key was used with another request.",
        ));
    }
    let Claimed { order_id, is_repeated, traceparent: placed_at, is_in_progress, answer, .. } = claimed;
    let claimed = IdempotencyClaimed { order_id, is_repeated, placed_at, is_in_progress, answer };
    Ok(http::json(StatusCode::OK, &claimed))
}

/// Answers 204 if it is the first answer, and otherwise 200 and the one that is.
async fn store_answer(keys: Arc<Keys>, request: Request) -> Result<Response, Problem> {
    let (id, owner) = (request.id("id")?, request.owner()?);
    let answer: StoredAnswer = request.json().await?;
    Ok(match idempotency_keys::store_answer(&keys.connections, &owner, id, &answer).await? {
        Some(first) => http::json(StatusCode::OK, &first),
        None => http::no_content(),
    })
}

async fn end_execution(keys: Arc<Keys>, request: Request) -> Result<Response, Problem> {
    let (id, owner) = (request.id("id")?, request.owner()?);
    idempotency_keys::end_execution(&keys.connections, &owner, id).await?;
    Ok(http::no_content())
}
