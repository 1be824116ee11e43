//! The calls to the provider: so many at a time, each in a slot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::crash_here;
use chassis::telemetry::METER;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::CollectionConfig;
use super::breaker::Breaker;
use crate::domain::ProviderCall;

/// Where calls to the provider begin. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct ProviderCalls {
    slots: Arc<Semaphore>,
    breaker: Arc<Breaker>,
    lease: Duration,
    /// Bounded by the slots.
    begun: mpsc::UnboundedSender<BegunCall>,
}

/// A call that has its slot.
pub(crate) struct BegunCall {
    pub(super) call: ProviderCall,
    pub(super) slot: OwnedSemaphorePermit,
}

/// Slots for calls. Those that are not used are free again when it is dropped.
pub(crate) struct Slots(Option<OwnedSemaphorePermit>);

impl ProviderCalls {
    /// The calls, and where they are carried out.
    pub(crate) fn new(config: &CollectionConfig) -> (Self, mpsc::UnboundedReceiver<BegunCall>) {
        let (begun, calls) = mpsc::unbounded_channel();
        let slots = Arc::new(Semaphore::new(config.concurrency));
        show_in_flight(Arc::clone(&slots), config.concurrency);
        (Self { slots, breaker: Arc::new(Breaker::new()), lease: config.lease(), begun }, calls)
    }

    /// How long a step belongs to the replica that takes it.
    pub(crate) const fn lease(&self) -> Duration {
        self.lease
    }

    pub(super) const fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// Whether the provider would be called now.
    pub(super) fn are_made(&self) -> bool {
        self.breaker.allowance(1, Instant::now()) > 0
    }

    /// Whether the provider is not called at present, or only to see whether it answers again.
    pub(crate) fn are_held_back(&self) -> bool {
        !self.breaker.is_closed()
    }

    /// Reserves slots, `wanted` at most, while the provider answers. Whether it does again is tried with steps that are due.
    pub(crate) fn reserve(&self, wanted: usize) -> Slots {
        if wanted == 0 || !self.breaker.is_closed() {
            return Slots(None);
        }
        Slots(self.free(wanted))
    }

    /// Waits for a slot; returns it and the others that are free, `most` at most and as many as the breaker allows.
    pub(super) async fn wait_for_slots(&self, most: usize) -> Slots {
        let Ok(mut slot) = Arc::clone(&self.slots).acquire_owned().await else { return Slots(None) };
        if let Some(others) = self.free(most - 1) {
            slot.merge(others);
        }
        let allowance = self.breaker.allowance(slot.num_permits(), Instant::now());
        Slots(slot.split(allowance))
    }

    fn free(&self, most: usize) -> Option<OwnedSemaphorePermit> {
        let free = u32::try_from(self.slots.available_permits().min(most)).ok()?;
        Arc::clone(&self.slots).try_acquire_many_owned(free).ok()
    }

    /// Begins calls whose steps are taken, which is committed.
    pub(crate) fn begin(&self, calls: Vec<ProviderCall>, mut slots: Slots) {
        for call in calls {
            crash_here!("after-lease-before-provider-call");
            // No more steps are taken than there are slots.
            let Some(slot) = slots.0.as_mut().and_then(|slots| slots.split(1)) else { return };
            self.breaker.calling(Instant::now());
            // The receiver ends when no more steps are taken.
            self.begun.send(BegunCall { call, slot }).ok();
        }
    }
}

/// Shows how many slots are taken: by calls that are under way, or about to begin.
fn show_in_flight(slots: Arc<Semaphore>, concurrency: usize) {
    METER
        .u64_observable_gauge("paysaga.provider.in_flight")
        .with_description("Calls to the payment provider that are under way, of PROVIDER_CONCURRENCY.")
        .with_callback(move |observer| {
            let taken = concurrency.saturating_sub(slots.available_permits());
            observer.observe(u64::try_from(taken).unwrap_or(u64::MAX), &[]);
        })
        .build();
}

impl Slots {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}
