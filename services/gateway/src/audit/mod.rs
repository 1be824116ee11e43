//! The audit: what is refused, cancelled, looked at and decided here, and how keys change.
//!
//! ```text
//! access, commands, admin → record → repetitions → log
//!                                               ↘ queue → delivery → order service (a chain)
//! ```
//!
//! A record is in the log at once, and in the order service's database as soon as that takes it. No request waits for it.

mod attempt;
mod delivery;
mod keys;
mod record;
mod repetitions;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chassis::tasks::Tasks;
use contracts::audit_record::{AuditRecord, RecordedAction};
use tokio::sync::mpsc;
use tracing::{info, warn};

pub(crate) use self::attempt::Attempt;
use self::delivery::Delivery;
pub(crate) use self::keys::{changes, loaded};
pub(crate) use self::record::{
    admin_operation, authentication_failed, authorization_denied, cancellation, console_refused,
    console_session, reason_in,
};
use self::repetitions::Repetitions;
use crate::upstream::Upstream;

/// Most records that wait for the order service: some two megabytes.
const QUEUE: usize = 4096;

/// Takes records.
pub(crate) struct Audit {
    queue: mpsc::Sender<AuditRecord>,
    repetitions: Mutex<Repetitions>,
    /// How many records the queue had no room for since that was recorded.
    dropped: AtomicU32,
}

impl Audit {
    /// Takes records from now on, and sends them to the order service until `delivery` stops.
    pub(crate) fn start(order: Arc<Upstream>, delivery: &Tasks) -> Arc<Self> {
        let (audit, queue) = Self::new(QUEUE);
        let sender = Delivery::new(order, Arc::clone(&audit), queue);
        delivery.spawn_essential("audit", sender.run(delivery.stopping()));
        audit
    }

    fn new(room: usize) -> (Arc<Self>, mpsc::Receiver<AuditRecord>) {
        let (queue, receiver) = mpsc::channel(room);
        let audit = Self { queue, repetitions: Mutex::default(), dropped: AtomicU32::new(0) };
        (Arc::new(audit), receiver)
    }

    /// Records what happened, unless it repeats what was recorded less than a minute ago; then it is counted.
    pub(crate) fn record(&self, record: AuditRecord) {
        let first = self.repetitions().first(record, Instant::now());
        if let Some(record) = first {
            self.put(record);
        }
    }

    /// Records what was counted for a minute, or all that was counted.
    fn record_repetitions(&self, all: bool) {
        let counted = self.repetitions().ended(Instant::now(), all);
        for record in counted {
            self.put(record);
        }
    }

    /// Logs a record and puts it into the queue.
    fn put(&self, record: AuditRecord) {
        log(&record);
        let count = record.count;
        if self.queue.try_send(record).is_err() {
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The record of those that the queue had no room for, if there are any since the last time.
    fn dropped(&self) -> Option<AuditRecord> {
        let count = self.dropped.swap(0, Ordering::Relaxed);
        if count == 0 {
            return None;
        }
        let reason = "there was no room for them; the gateway's log has them";
        Some(AuditRecord { count, ..AuditRecord::now(RecordedAction::RecordsDropped).because(reason) })
    }

    fn repetitions(&self) -> MutexGuard<'_, Repetitions> {
        self.repetitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line in the log, which stays should the process end before the record is stored.
fn log(record: &AuditRecord) {
    macro_rules! line {
        ($level:ident) => {
            $level!(
                target: "audit",
                {
                    audit.id = %record.id,
                    audit.action = %record.action,
                    audit.actor = record.actor,
                    audit.key_id = record.key_id,
                    audit.address = record.address,
                    audit.correlation_id = record.correlation_id,
                    audit.subject = record.subject,
                    audit.outcome = record.outcome,
                    audit.reason = record.reason,
                    audit.count = record.count
                },
                "recorded for the audit"
            )
        };
    }
    match record.action {
        RecordedAction::AuthenticationFailed
        | RecordedAction::AuthorizationDenied
        | RecordedAction::RecordsDropped => line!(warn),
        _ => line!(info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted() {
        let (audit, mut queue) = Audit::new(2);
        for _ in 0..5 {
            audit.record(AuditRecord::now(RecordedAction::KeyAdded));
        }
        let dropped = audit.dropped().unwrap();
        assert_eq!((dropped.action, dropped.count), (RecordedAction::RecordsDropped, 3));
        assert_eq!(audit.dropped(), None);
        assert!(queue.try_recv().is_ok() && queue.try_recv().is_ok() && queue.try_recv().is_err());
    }
}
