//! Adds up what waits in a service.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use contracts::health::HealthStatus;
use contracts::load::Load;
use contracts::topology::Queue;
use contracts::{Problem, ProblemType};
use http::{Method, StatusCode};
use tokio::sync::Mutex;
use warp::reply::Response;

use super::Stage;
use crate::broker::QueueInspector;
use crate::health::Health;
use crate::http::{Request, Routes, json, route};
use crate::outbox::Outbox;

/// How long an answer holds for others who ask: several gateways do.
const FRESH: Duration = Duration::from_millis(40);

/// How long the broker may take to say how long the queues are.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(400);

/// How long an answer holds when a newer one can't be had in time, as it is where there is too much to do.
const VALID: Duration = Duration::from_secs(2);

/// Answers `GET /load`. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Probe {
    health: Health,
    /// Set as soon as the service runs.
    places: Arc<OnceLock<Mutex<Places>>>,
}

/// Every place of a service where work waits.
pub(crate) struct Places {
    /// The queues that the service consumes, and what it has taken from each.
    pub(crate) queues: Vec<(Queue, Stage)>,
    /// Where else work waits.
    pub(crate) stages: Vec<Stage>,
    pub(crate) outbox: Outbox,
    pub(crate) inspector: QueueInspector,
    /// What was measured last, and when.
    pub(crate) last: Option<(Instant, Load)>,
}

impl Probe {
    pub(crate) fn new(health: Health) -> Self {
        Self { health, places: Arc::default() }
    }

    /// From now on there is something to measure.
    pub(crate) fn watch(&self, places: Places) {
        // A service starts once.
        self.places.set(Mutex::new(places)).ok();
    }

    /// `GET /load`.
    pub(crate) fn routes(&self) -> Routes {
        Routes::new(self.clone(), [route(Method::GET, "/load", answer)])
    }

    /// What waits; none if that can't be told. A service that can't do its work does not know how fast it goes.
    async fn load(&self) -> Option<Load> {
        if self.health.report().status != HealthStatus::Up {
            return None;
        }
        self.places.get()?.lock().await.load().await
    }
}

impl Places {
    async fn load(&mut self) -> Option<Load> {
        if let Some((at, load)) = self.last
            && at.elapsed() < FRESH
        {
            return Some(load);
        }
        let Ok(measured) = tokio::time::timeout(ANSWER_TIMEOUT, self.measure()).await else {
            return self.last.filter(|(at, _)| at.elapsed() < VALID).map(|(_, load)| load);
        };
        let load = measured?;
        self.last = Some((Instant::now(), load));
        Some(load)
    }

    async fn measure(&mut self) -> Option<Load> {
        let mut ready = Vec::with_capacity(self.queues.len());
        let mut replicas = 1;
        for (queue, _) in &self.queues {
            let state = self.inspector.inspect(queue.name()).await?;
            ready.push(state.messages as usize);
            replicas = replicas.max(state.consumers as usize);
        }
        // The other replicas hold about as much as this one, and are about as fast.
        let of_queues = self.queues.iter().zip(ready);
        let of_queues =
            of_queues.map(|((_, stage), ready)| (ready + stage.held() * replicas, stage.per_second()));
        let of_stages = self.stages.iter();
        let of_stages = of_stages.map(|stage| (stage.shared() + stage.held() * replicas, stage.per_second()));
        let of_outbox = (self.outbox.publishing() * replicas, None);
        let factor = f64::from(u32::try_from(replicas).unwrap_or(u32::MAX));
        let places = of_queues.chain(of_stages).chain([of_outbox]);
        Some(Load::in_sequence(places.map(|(waiting, pace)| Load {
            waiting: waiting as u64,
            per_second: pace.map(|pace| pace * factor),
        })))
    }
}

async fn answer(probe: Probe, _: Request) -> Result<Response, Problem> {
    match probe.load().await {
        Some(load) => Ok(json(StatusCode::OK, &load)),
        None => Err(Problem::new(ProblemType::ServiceUnavailable, "The load is not known.")),
    }
}
