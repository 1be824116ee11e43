//! Lets commands in while the saga will settle them soon, and refuses the others before they are accepted.
//!
//! ```text
//! order, payment: GET /load ── what waits, how fast it goes ──→ limiter ── credit ──→ commands
//! ```
//!
//! Each gateway asks by itself, and all of them see the same load: they need not know of each other. A saga that does not
//! answer is not asked to do less: then the broker's own limits hold.

mod limiter;

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::tasks::Tasks;
use chassis::telemetry::METER;
use contracts::Problem;
use contracts::load::Load;
use limiter::{Limiter, Overloaded};
use opentelemetry::metrics::{Counter, Gauge};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::upstream::{LoadAnswer, Upstream};

/// How often the saga is asked how much waits, while there are commands.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long after the last command the saga is still asked.
const ATTENTION: Duration = Duration::from_secs(1);

static WAITING: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.saga.waiting")
        .with_description(
            "Messages and steps that wait until the order and payment services have time for them.",
        )
        .build()
});

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.commands.refused")
        .with_description("Commands that were refused because too much was waiting.")
        .build()
});

/// Decides about each command. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Admission(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// Notified of each command.
    command: Notify,
}

#[derive(Default)]
struct State {
    limiter: Limiter,
    last_command: Option<Instant>,
    /// When a command was refused last, as long as the log says that commands are.
    last_refused: Option<Instant>,
}

impl Admission {
    /// Asks the services how much waits until the tasks stop.
    pub(crate) fn start(order: Arc<Upstream>, payment: Arc<Upstream>, tasks: &Tasks) -> Self {
        let admission = Self::default();
        let (watcher, stopping) = (admission.clone(), tasks.stopping());
        tasks.spawn_essential("admission", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = watcher.watch(&order, &payment) => {}
            }
        });
        admission
    }

    /// Lets a command in, or refuses it.
    pub(crate) fn admit(&self) -> Result<(), Problem> {
        let now = Instant::now();
        let mut state = self.state();
        state.last_command = Some(now);
        let admitted = state.limiter.admit(now);
        if admitted.is_err() && state.last_refused.replace(now).is_none() {
            warn!("commands are refused: more wait than will be settled soon");
        }
        drop(state);
        self.0.command.notify_one();
        admitted.map_err(|overloaded| {
            REFUSED.add(1, &[]);
            refusal(overloaded)
        })
    }

    async fn watch(&self, order: &Upstream, payment: &Upstream) {
        loop {
            let idle = self.state().last_command.is_none_or(|last| last.elapsed() > ATTENTION);
            if idle {
                self.0.command.notified().await;
            }
            match tokio::join!(order.load(), payment.load()) {
                (LoadAnswer::Known(order), LoadAnswer::Known(payment)) => {
                    self.report(combined(order, payment));
                }
                (LoadAnswer::Unknown, _) | (_, LoadAnswer::Unknown) => self.state().limiter.forget(),
                // The last report holds for a while.
                _ => {}
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn report(&self, load: Load) {
        WAITING.record(load.waiting, &[]);
        let now = Instant::now();
        let mut state = self.state();
        state.limiter.report(load, now);
        if state.last_refused.is_some_and(|last| now.duration_since(last) > ATTENTION) {
            state.last_refused = None;
            info!("commands are accepted again");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits in both services, and how fast it goes where most of it waits.
fn combined(order: Load, payment: Load) -> Load {
    let busier = if payment.waiting > order.waiting { payment } else { order };
    Load { waiting: order.waiting + payment.waiting, per_second: busier.per_second }
}

fn refusal(Overloaded(wait): Overloaded) -> Problem {
    let problem = Problem::new(
        503,
        "More orders are waiting than can be settled soon. The request was not accepted; send it again after the time in \
         Retry-After.",
    );
    let seconds = u16::try_from(wait.as_secs() + 1).unwrap_or(u16::MAX);
    Problem { retry_after: Some(seconds), ..problem }
}
