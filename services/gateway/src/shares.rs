//! Fair shares: what one caller may use of the gateway, so that its flood is no other caller's business.
//!
//! Each caller has a token bucket, a number of requests under way, a number of them that may wait for an order to settle, and a
//! number of open streams, which are no requests under way.
//! Operators have no limits: what they do about a flood must not wait for its end.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::http::{HeaderName, HeaderValue};
use chassis::http::{Caller, Response};
use contracts::api_key::Scope;
use contracts::{Owner, Problem, ProblemType};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use warp::Filter;
use warp::filters::path::FullPath;
use warp::reject::{Reject, Rejection};

use crate::console::Console;
use crate::refusals::Refusals;

/// How many requests with `Prefer: wait` of one caller may wait for their orders. More are answered at once.
const MOST_WAITING: usize = 128;

/// Requests a second of all callers without a key together. What they read is large, and never changes while a gateway runs.
const STRANGERS: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);
/// After how many seconds one more stream is worth asking for.
const RETRY_STREAM: u16 = 5;

/// Refusals of a caller that are answered at once, a second.
const REFUSALS_PER_SECOND: u32 = 50;

/// The longest time that a refusal is held back. Unlike where the saga has no room, it is this caller's own doing.
const LONGEST_HOLD: Duration = Duration::from_secs(2);

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// What a caller may use, unless its key says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests a second, and as many at once after a pause.
    pub(crate) rate: NonZeroU32,
    /// Requests under way.
    pub(crate) concurrency: usize,
    /// Streams that are open.
    pub(crate) streams: usize,
}

/// The shares of all callers.
pub(crate) struct Shares {
    limits: Limits,
    /// What all callers without a key have together, for what needs none.
    strangers: Arc<Share>,
    /// What those have together who sign in to the console: a flood of strangers is not to keep operators out.
    signing_in: Arc<Share>,
    /// By name, and by the rate of the key.
    callers: Mutex<HashMap<(Owner, NonZeroU32), Arc<Share>>>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// The share of one caller.
struct Share {
    rate: NonZeroU32,
    bucket: Bucket,
    under_way: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    refusals: Mutex<Refusals>,
}

/// Held while a request is under way.
pub(crate) struct Place {
    _under_way: Option<OwnedSemaphorePermit>,
    rate_limit: Option<RateLimit>,
}

/// Held while a request waits for its order.
pub(crate) struct Waiting(#[expect(dead_code, reason = "held")] Option<OwnedSemaphorePermit>);

/// Held while a stream is open.
pub(crate) struct Streaming(#[expect(dead_code, reason = "held")] Option<OwnedSemaphorePermit>);

/// What is left of a bucket, for the client (draft-ietf-httpapi-ratelimit-headers-11).
#[derive(Clone, Copy, Debug)]
struct RateLimit {
    rate: NonZeroU32,
    left: u32,
}

/// A caller has used its share up, as warp rejects its request.
#[derive(Debug)]
pub(crate) struct OverLimit {
    problem: Problem,
    rate_limit: RateLimit,
}

impl Reject for OverLimit {}

impl Shares {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        let together = || Arc::new(Share::new(STRANGERS, &limits));
        let (strangers, signing_in) = (together(), together());
        Arc::new(Self { limits, strangers, signing_in, callers: Mutex::default() })
    }

    /// Takes a place for each request, or rejects it.
    pub(crate) fn enter(
        self: &Arc<Self>,
    ) -> impl Filter<Extract = (Place,), Error = Rejection> + Clone + Send + Sync + 'static {
        let shares = Arc::clone(self);
        warp::ext::optional::<Caller>().and(warp::path::full()).and_then(
            move |caller: Option<Caller>, path: FullPath| {
                let share = match caller {
                    Some(caller) => shares.of(&caller),
                    None if Console::has(path.as_str()) => Some(Arc::clone(&shares.signing_in)),
                    None => Some(Arc::clone(&shares.strangers)),
                };
                async move {
                    match share {
                        Some(share) => share.enter().await.map_err(warp::reject::custom),
                        None => Ok(Place { _under_way: None, rate_limit: None }),
                    }
                }
            },
        )
    }

    /// Whether one more request of a caller may wait for its order; as long as what is returned is held.
    pub(crate) fn wait(&self, caller: &Caller) -> Option<Waiting> {
        let Some(share) = self.of(caller) else { return Some(Waiting(None)) };
        Arc::clone(&share.waiting).try_acquire_owned().ok().map(|place| Waiting(Some(place)))
    }

    /// Whether one more stream of a caller may be open; as long as what is returned is held.
    pub(crate) async fn stream(&self, caller: &Caller) -> Result<Streaming, Problem> {
        let Some(share) = self.of(caller) else { return Ok(Streaming(None)) };
        if let Ok(place) = Arc::clone(&share.streams).try_acquire_owned() {
            return Ok(Streaming(Some(place)));
        }
        let detail = "This caller has too many streams open. Close some of them.";
        Err(share.refuse(detail, RETRY_STREAM).await.problem)
    }

    /// A caller's share; `None` if it has no limits.
    fn of(&self, caller: &Caller) -> Option<Arc<Share>> {
        if caller.scopes.contains(&Scope::AdminWrite) {
            return None;
        }
        let rate = caller.rate.unwrap_or(self.limits.rate);
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let share = callers
            .entry((caller.name.clone(), rate))
            .or_insert_with(|| Arc::new(Share::new(rate, &self.limits)));
        Some(Arc::clone(share))
    }
}

impl Share {
    fn new(rate: NonZeroU32, limits: &Limits) -> Self {
        Self {
            rate,
            bucket: RateLimiter::direct(Quota::per_second(rate)).with_middleware(),
            under_way: Arc::new(Semaphore::new(limits.concurrency)),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            refusals: Mutex::default(),
        }
    }

    async fn enter(&self) -> Result<Place, OverLimit> {
        let Ok(under_way) = Arc::clone(&self.under_way).try_acquire_owned() else {
            let detail = "This caller has too many requests under way. Wait for the answers to some of them.";
            return Err(self.refuse(detail, 1).await);
        };
        let left = match self.bucket.check() {
            Ok(state) => state.remaining_burst_capacity(),
            Err(until) => {
                drop(under_way);
                let wait = until.wait_time_from(DefaultClock::default().now());
                let seconds = u16::try_from(wait.as_secs() + 1).unwrap_or(u16::MAX);
                return Err(self
                    .refuse("This caller sends more requests than its rate allows.", seconds)
                    .await);
            }
        };
        let rate_limit = Some(RateLimit { rate: self.rate, left });
        Ok(Place { _under_way: Some(under_way), rate_limit })
    }

    /// A caller that heeds no refusal would take the machine's time from the others: it gets them later.
    async fn refuse(&self, detail: &str, retry_after: u16) -> OverLimit {
        let hold = self.refusals().next(Instant::now(), REFUSALS_PER_SECOND, LONGEST_HOLD);
        tokio::time::sleep(hold).await;
        let problem =
            Problem { retry_after: Some(retry_after), ..Problem::new(ProblemType::TooManyRequests, detail) };
        OverLimit { problem, rate_limit: RateLimit { rate: self.rate, left: 0 } }
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The response of the request, with what is left of the caller's share.
    pub(crate) fn leave(self, response: Response) -> Response {
        match self.rate_limit {
            Some(rate_limit) => rate_limit.tell(response),
            None => response,
        }
    }
}

impl OverLimit {
    /// The response to the request.
    pub(crate) fn response(&self) -> Response {
        self.rate_limit.tell(chassis::http::problem(&self.problem))
    }
}

impl RateLimit {
    fn tell(self, mut response: Response) -> Response {
        let Self { rate, left } = self;
        let headers =
            [(POLICY, format!("\"caller\";q={rate};w=1")), (STATE, format!("\"caller\";r={left};t=1"))];
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, scopes: &[Scope], rate: Option<u32>) -> Caller {
        let scopes = Arc::new(scopes.iter().copied().collect());
        let rate = rate.and_then(NonZeroU32::new);
        Caller { name: name.parse().unwrap(), scopes, rate, key_id: None, address: [127, 0, 0, 1].into() }
    }

    fn shares() -> Arc<Shares> {
        Shares::new(Limits { rate: NonZeroU32::new(3).unwrap(), concurrency: 2, streams: 1 })
    }

    /// The place of a request, or the status with which it is refused.
    async fn entered(shares: &Shares, caller: &Caller) -> Result<Place, u16> {
        shares.of(caller).unwrap().enter().await.map_err(|over| over.problem.status)
    }

    #[tokio::test]
    async fn a_caller_uses_up_its_own_share_and_no_other() {
        let shares = shares();
        let (shop, app) = (caller("shop", &[Scope::OrdersRead], None), caller("app", &[], None));
        for _ in 0..3 {
            entered(&shares, &shop).await.unwrap();
        }
        assert_eq!(entered(&shares, &shop).await.err(), Some(429));
        assert!(entered(&shares, &app).await.is_ok());
        let generous = caller("shop", &[], Some(100));
        for _ in 0..100 {
            entered(&shares, &generous).await.unwrap();
        }
    }

    #[tokio::test]
    async fn so_many_requests_are_under_way_at_most() {
        let shares = shares();
        let shop = caller("shop", &[], None);
        let first = entered(&shares, &shop).await.unwrap();
        let _second = entered(&shares, &shop).await.unwrap();
        assert_eq!(entered(&shares, &shop).await.err(), Some(429));
        drop(first);
        assert!(shares.of(&shop).unwrap().under_way.try_acquire().is_ok());
    }

    #[tokio::test]
    async fn so_many_streams_are_open_at_most() {
        let shares = shares();
        let shop = caller("shop", &[], None);
        let first = shares.stream(&shop).await.unwrap();
        assert_eq!(shares.stream(&shop).await.err().map(|problem| problem.status), Some(429));
        // It is no request under way.
        let _requests = [entered(&shares, &shop).await.unwrap(), entered(&shares, &shop).await.unwrap()];
        drop(first);
        assert!(shares.stream(&shop).await.is_ok());
    }

    #[test]
    fn an_operator_has_no_limits() {
        assert!(shares().of(&caller("ops", &[Scope::AdminWrite], None)).is_none());
    }
}
