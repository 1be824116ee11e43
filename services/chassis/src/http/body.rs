//! The body of a request: read when a handler asks for it, within bounds, and not before.
//!
//! A request that is refused for its head (401, 404, 405, 415) is answered while its body is still on its way. What is
//! not read here is discarded when the connection ends, see `linger`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Problem, ProblemType};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::waiting::Waiting;

/// How much of a body is free, in bytes. An order has about a hundred; so however many large bodies arrive, orders do.
const FREE: usize = 1024;

/// Most bodies that may be on their way at once. Each costs some twenty kibibytes, most of them hyper's buffers.
const MOST_ARRIVING: usize = 512;

/// How much all bodies being received and handled may take together, beyond what is free to each.
const SHARED: usize = 4 * 1024 * 1024;

/// What one permit of the shared bound stands for, in bytes.
const UNIT: usize = 1024;

/// The bounds of every body.
pub(super) struct Limits {
    /// Largest body, in bytes.
    max: usize,
    /// How long a client may take to send one.
    timeout: Duration,
    shared: Arc<Semaphore>,
    arriving: Arc<Waiting>,
}

impl Limits {
    pub(super) fn new(max: usize, timeout: Duration) -> Arc<Self> {
        let shared = Arc::new(Semaphore::new(SHARED / UNIT));
        Arc::new(Self { max, timeout, shared, arriving: Waiting::new(MOST_ARRIVING) })
    }
}

/// The body of a request. Cheap to clone.
#[derive(Clone)]
pub struct Body(Arc<State>);

struct State {
    limits: Arc<Limits>,
    unread: Mutex<Option<Incoming>>,
    read: OnceCell<Result<(), Problem>>,
    content: Mutex<Content>,
}

/// What has arrived.
#[derive(Default)]
struct Content {
    bytes: Bytes,
    /// Its share of what all bodies may take.
    share: Option<OwnedSemaphorePermit>,
}

impl Body {
    pub(super) fn new(body: Incoming, limits: &Arc<Limits>) -> Self {
        let read = if body.is_end_stream() { OnceCell::from(Ok(())) } else { OnceCell::new() };
        Self(Arc::new(State {
            limits: Arc::clone(limits),
            unread: Mutex::new(Some(body)),
            read,
            content: Mutex::default(),
        }))
    }

    /// No body.
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        Self(Arc::new(State {
            limits: Limits::new(0, Duration::ZERO),
            unread: Mutex::default(),
            read: OnceCell::from(Ok(())),
            content: Mutex::default(),
        }))
    }

    /// All of it, empty if there is none. Fails with 413 if it is too large, 408 if it takes too long, 400 if it breaks off,
    /// 503 if too many large ones are being received.
    pub async fn read(&self) -> Result<Bytes, Problem> {
        self.0.read.get_or_init(|| self.0.receive()).await.clone()?;
        Ok(self.0.content().bytes.clone())
    }

    /// Frees what it takes, as if it had been empty: the request is going to wait, and others have bodies as well.
    pub fn forget(&self) {
        *self.0.content() = Content::default();
    }

    /// Whether it has arrived to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.0.read.get().is_some_and(Result::is_ok)
    }
}

impl State {
    async fn receive(&self) -> Result<(), Problem> {
        let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(body) = unread else { return Ok(()) };
        if body.size_hint().lower() > self.limits.max as u64 {
            return Err(self.too_large());
        }
        let timeout = self.limits.timeout;
        let (_turn, over) = self.limits.arriving.enter();
        tokio::select! {
            biased;
            collected = self.collect(body) => collected,
            () = over => Err(too_many()),
            () = sleep(timeout) => {
                let detail = format!("The body did not arrive within {} seconds.", timeout.as_secs());
                Err(Problem::new(ProblemType::RequestTimeout, detail))
            }
        }
    }

    /// Copies what arrives into one buffer. Each frame is a part of the connection's buffer and keeps all of it, eight
    /// kibibytes, however few bytes the client has sent at a time.
    async fn collect(&self, mut body: Incoming) -> Result<(), Problem> {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                Problem::new(ProblemType::InvalidRequest, "The body ended before it was complete.")
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let size = bytes.len() + data.len();
            if size > self.limits.max {
                return Err(self.too_large());
            }
            self.take_share(size)?;
            bytes.extend_from_slice(&data);
        }
        self.content().bytes = bytes.into();
        Ok(())
    }

    /// Takes what a body of this size needs of the shared bound. It does not wait: bodies that wait for each other while
    /// each holds a part would wait until they time out.
    fn take_share(&self, size: usize) -> Result<(), Problem> {
        let mut content = self.content();
        let share = &mut content.share;
        let held = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = size.saturating_sub(FREE).div_ceil(UNIT).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.limits.shared).try_acquire_many_owned(missing);
        let more = more.map_err(|_| {
            Problem::new(
                ProblemType::ServiceUnavailable,
                "Too many large requests are being received. Try again.",
            )
        })?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn too_large(&self) -> Problem {
        Problem::new(
            ProblemType::ContentTooLarge,
            format!("The body must not be larger than {} bytes.", self.limits.max),
        )
    }
}

fn too_many() -> Problem {
    Problem::new(
        ProblemType::ServiceUnavailable,
        "Too many bodies are being received, or too large ones. Try again.",
    )
}
