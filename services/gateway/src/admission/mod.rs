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
use contracts::load::Load;
use contracts::{Owner, Problem, ProblemType};
use limiter::{Limiter, Overloaded};
use opentelemetry::metrics::{Counter, Gauge};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::refusals::Refusals;
use crate::upstream::Upstream;

/// How often the saga is asked how much waits, while there are commands and little may still be let in.
const INTERVAL: Duration = Duration::from_millis(100);

/// How often it is asked while more may be let in than is. Answering costs the services and the broker more than some orders.
const RELAXED: Duration = Duration::from_millis(500);

/// How long after the last command the saga is still asked.
const ATTENTION: Duration = Duration::from_secs(1);

/// Refusals in a second that are answered at once.
const REFUSALS_PER_SECOND: u32 = 500;

/// The longest time that a refusal is held back.
const LONGEST_HOLD: Duration = Duration::from_millis(250);

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
    /// What waited when it was asked last.
    last_load: Load,
    last_command: Option<Instant>,
    /// When a command was refused last, as long as the log says that commands are.
    last_refused: Option<Instant>,
    refusals: Refusals,
}

impl Admission {
    /// Asks the services how much waits until the tasks stop. Both metrics are there from the start.
    pub(crate) fn start(order: Arc<Upstream>, payment: Arc<Upstream>, tasks: &Tasks) -> Self {
        WAITING.record(0, &[]);
        REFUSED.add(0, &[]);
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

    /// Lets a caller's command in, or refuses it.
    pub(crate) async fn admit(&self, caller: &Owner) -> Result<(), Problem> {
        let decided = self.state().decide(caller, Instant::now());
        self.0.command.notify_one();
        let Err((overloaded, hold)) = decided else { return Ok(()) };
        REFUSED.add(1, &[]);
        tokio::time::sleep(hold).await;
        Err(refusal(overloaded))
    }

    async fn watch(&self, order: &Upstream, payment: &Upstream) {
        loop {
            let idle = self.state().last_command.is_none_or(|last| last.elapsed() > ATTENTION);
            if idle {
                self.0.command.notified().await;
            }
            // A service that does not answer may have too much to do: the last report holds for a while.
            if let (Some(order), Some(payment)) = tokio::join!(order.load(), payment.load()) {
                self.report(Load::in_sequence([order, payment]));
            }
            let asked = Instant::now();
            loop {
                tokio::time::sleep(INTERVAL).await;
                if asked.elapsed() >= RELAXED || !self.state().limiter.has_room() {
                    break;
                }
            }
        }
    }

    fn report(&self, load: Load) {
        WAITING.record(load.waiting, &[]);
        let now = Instant::now();
        let mut state = self.state();
        state.limiter.report(load, now);
        state.last_load = load;
        if state.last_refused.is_some_and(|last| now.duration_since(last) > ATTENTION) {
            state.last_refused = None;
            info!("commands are accepted again");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Decides about a command; a refusal is to be answered after the time that comes with it.
    fn decide(&mut self, caller: &Owner, now: Instant) -> Result<(), (Overloaded, Duration)> {
        self.last_command = Some(now);
        let Err(overloaded) = self.limiter.admit(caller, now) else { return Ok(()) };
        if self.last_refused.replace(now).is_none() {
            let Load { waiting, per_second } = self.last_load;
            warn!(waiting, per_second, "commands are refused: more wait than will be settled soon");
        }
        Err((overloaded, self.refusals.next(now, REFUSALS_PER_SECOND, LONGEST_HOLD)))
    }
}

fn refusal(Overloaded(wait): Overloaded) -> Problem {
    let problem = Problem::new(
        ProblemType::Overloaded,
        "More orders are waiting than can be settled soon. The request was not accepted; send it again after the time in \
         Retry-After.",
    );
    let seconds = u16::try_from(wait.as_secs() + 1).unwrap_or(u16::MAX);
    Problem { retry_after: Some(seconds), ..problem }
}
