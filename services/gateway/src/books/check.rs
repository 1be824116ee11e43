//! The task of each gateway: it waits for the lease, and compares while it has it.

use std::time::{Duration, Instant};

use contracts::Timestamp;
use contracts::books::exchange::{KeptBooks, MOST_ORDERS};
use contracts::books::{BooksState, PassState};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::comparison::{Compared, Finding, compare};
use super::gauges;
use super::pass;
use super::services::{Failure, Services};
use super::settling::{Due, Settling};

/// How often it is looked for what changed.
const LOOK: Duration = Duration::from_secs(5);

/// How often what does not fit is compared again.
const RECHECK: Duration = Duration::from_mins(1);

/// How long until a service that can't take part is asked again: it may have been replaced.
const UNSUPPORTED: Duration = Duration::from_mins(1);

/// From so many failures on it is no passing one as at a start or a deployment.
const TELLING: u32 = 6;

/// The task.
pub(super) struct Check {
    services: Services,
    full_pass: Duration,
    failures: u32,
}

/// The books while this gateway has the lease.
struct Open {
    state: BooksState,
    settling: Settling,
    pass_wanted: bool,
    /// The database's time when it was heard of last.
    now: Timestamp,
    next_look: Instant,
    next_page: Instant,
    next_recheck: Instant,
}

impl Check {
    pub(super) const fn new(services: Services, full_pass: Duration) -> Self {
        Self { services, full_pass, failures: 0 }
    }

    pub(super) async fn run(mut self) {
        // The services start at the same time.
        sleep(LOOK).await;
        loop {
            match self.services.lease().await {
                Ok(kept) if kept.is_holder => self.compare(kept).await,
                Ok(KeptBooks { state, at, .. }) => {
                    self.worked();
                    gauges::show(&state.books(at));
                    sleep(LOOK).await;
                }
                Err(failure) => self.failed(&failure).await,
            }
        }
    }

    /// Compares until another gateway has the lease.
    async fn compare(&mut self, kept: KeptBooks) {
        debug!("this gateway compares the books");
        let mut open = Open::new(kept);
        loop {
            match self.step(&mut open).await {
                Ok(()) => self.worked(),
                Err(Failure::LeaseLost) => return,
                Err(Failure::Restored) => {
                    info!("the order database was set back; everything is compared anew");
                    open.begin_anew();
                }
                Err(failure) => self.failed(&failure).await,
            }
            let next = open.next_look.min(open.next_page);
            sleep(next.saturating_duration_since(Instant::now())).await;
        }
    }

    async fn step(&self, open: &mut Open) -> Result<(), Failure> {
        let started = Instant::now();
        if started >= open.next_look {
            let more = open.look(&self.services).await?;
            open.begin_pass(self.full_pass);
            open.store(&self.services).await?;
            // What has piled up is worked off with pauses as long as the work.
            open.next_look = Instant::now() + if more { started.elapsed().min(LOOK) } else { LOOK };
        }
        if open.state.pass.is_none() {
            open.next_page = open.next_look;
        } else if Instant::now() >= open.next_page {
            let pause = pass::next_page(&self.services, &mut open.state, &mut open.settling).await?;
            open.next_page = Instant::now() + pause;
        }
        Ok(())
    }

    fn worked(&mut self) {
        if self.failures >= TELLING {
            info!("the books are compared again");
        }
        self.failures = 0;
    }

    /// Waits after a failure, and reports it once.
    async fn failed(&mut self, failure: &Failure) {
        let is_unsupported = matches!(failure, Failure::Unsupported(_));
        self.failures = self.failures.saturating_add(1);
        if is_unsupported && self.failures < TELLING {
            self.failures = TELLING;
            info!(reason = %failure, "the books can't be compared; it is tried further");
        } else if self.failures == TELLING {
            warn!(reason = %failure, "the books can't be compared; it is tried further");
        }
        sleep(if is_unsupported { UNSUPPORTED } else { LOOK }).await;
    }
}

impl Open {
    fn new(KeptBooks { state, pass_wanted, at, .. }: KeptBooks) -> Self {
        let now = Instant::now();
        // An order in flight that the one before knew comes again with its next change, or with the full pass.
        let settling = Settling::default();
        Self { state, settling, pass_wanted, now: at, next_look: now, next_page: now, next_recheck: now }
    }

    /// The cursor is of a time that is not there any more.
    fn begin_anew(&mut self) {
        self.settling = Settling::default();
        self.state = BooksState {
            disagreements: std::mem::take(&mut self.state.disagreements),
            ..BooksState::default()
        };
    }

    /// Notes what changed, and compares what has had its time. Returns whether there is more of either.
    async fn look(&mut self, services: &Services) -> Result<bool, Failure> {
        let (started, mut more) = (Instant::now(), false);
        if self.settling.has_room() {
            let after = self.settling.read_until().or(self.state.cursor);
            let changed = services.changes(after).await?;
            self.now = changed.read_at;
            more = changed.more;
            if after.is_none() {
                // What was before is the first full pass's.
                (self.state.cursor, self.state.compared_until) =
                    (Some(changed.cursor), Some(changed.read_at));
            }
            self.settling.note(changed, Instant::now());
        }
        if let Some(Due { orders, cursor, read_at }) = self.settling.due(Instant::now()) {
            for chunk in orders.chunks(usize::from(MOST_ORDERS)) {
                self.add(compare(services, chunk).await?);
                if started.elapsed() > LOOK {
                    // The lease must not lapse because the services are slow.
                    self.store(services).await?;
                }
            }
            self.settling.compared();
            (self.state.cursor, self.state.compared_until) = (Some(cursor), Some(read_at));
            more |= self.settling.due(Instant::now()).is_some();
        }
        let waiting = self.settling.take_waiting(usize::from(MOST_ORDERS), Instant::now());
        if !waiting.is_empty() {
            let compared = compare(services, &waiting).await;
            if compared.is_err() {
                for order in &waiting {
                    self.settling.wait(*order, Instant::now());
                }
            }
            self.add(compared?);
            more = true;
        }
        if Instant::now() >= self.next_recheck {
            self.next_recheck = Instant::now() + RECHECK;
            let known: Vec<_> = self.state.disagreements.iter().filter_map(|known| known.order_id).collect();
            if !known.is_empty() {
                let compared = compare(services, &known).await?;
                let gone = known.iter().filter(|id| !compared.iter().any(|found| found.order_id == **id));
                gone.for_each(|id| self.state.remove(*id));
                self.add(compared);
            }
        }
        Ok(more)
    }

    fn add(&mut self, found: Vec<Compared>) {
        for Compared { order_id, finding } in found {
            match finding {
                Finding::Settled(_) => self.state.remove(order_id),
                Finding::InFlight => {
                    self.state.remove(order_id);
                    self.settling.wait(order_id, Instant::now());
                }
                Finding::Wrong(_, disagreement) => {
                    if !self.state.add(*disagreement) {
                        self.state.count_further();
                    }
                }
                Finding::Newer(_) => {}
            }
        }
    }

    /// Begins a full pass if it is time for one. What changes while it goes on is compared beside it, since its cursor is older.
    fn begin_pass(&mut self, interval: Duration) {
        let is_due =
            self.state.last_pass.as_ref().is_none_or(|last| {
                last.started_at.checked_add(interval).is_some_and(|next| next <= self.now)
            });
        if self.state.pass.is_none() && self.state.cursor.is_some() && (is_due || self.pass_wanted) {
            self.state.pass = Some(PassState::new(self.now));
        }
    }

    async fn store(&mut self, services: &Services) -> Result<(), Failure> {
        self.state.in_flight = self.settling.len() as u64;
        let kept = services.store(&mut self.state).await?;
        (self.pass_wanted, self.now) = (kept.pass_wanted, kept.at);
        gauges::show(&self.state.clone().books(self.now));
        Ok(())
    }
}
