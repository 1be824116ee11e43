//! What happens again and again: recorded once, then counted, so that a flood fills neither the queue nor a disk.
//!
//! The first of a kind is recorded at once. Those that follow within a minute are one record with their number. Failures that
//! differ are no way around it: beyond some of one address they are not told apart by their keys any more, and beyond some of
//! all they are not told apart by their addresses.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::time::{Duration, Instant};

use contracts::audit_record::{AuditRecord, RecordedAction};

/// How long what happens again is counted before that is recorded.
const WINDOW: Duration = Duration::from_mins(1);

/// Most different failures of one address within the time.
const MOST_OF_ADDRESS: usize = 10;

/// Most different failures within the time.
const MOST_FAILURES: usize = 100;

/// Most other things that are counted. What comes beyond is recorded each time.
const MOST: usize = 1000;

/// What was recorded within the last minute, and how often it has happened since.
#[derive(Default)]
pub(super) struct Repetitions {
    failures: HashMap<Kind, Counted>,
    others: HashMap<Kind, Counted>,
}

/// What makes two records the same but for the time and the correlation id.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    action: RecordedAction,
    actor: Option<String>,
    key_id: Option<String>,
    address: Option<String>,
    subject: Option<String>,
    outcome: Option<u16>,
    reason: Option<String>,
}

struct Counted {
    since: Instant,
    count: u32,
    /// Of the last one.
    correlation_id: Option<String>,
}

impl Repetitions {
    /// The record if it is the first of its kind; it is counted otherwise.
    pub(super) fn first(&mut self, mut record: AuditRecord, now: Instant) -> Option<AuditRecord> {
        let is_failure = match record.action {
            RecordedAction::AuthenticationFailed | RecordedAction::AuthorizationDenied => true,
            RecordedAction::CancellationRequested | RecordedAction::AdminRead => false,
            // Each decision and each change of a key counts.
            _ => return Some(record),
        };
        if is_failure && !self.failures.contains_key(&Kind::of(&record)) {
            let of_address = self.failures.keys().filter(|kind| kind.address == record.address).count();
            if of_address >= MOST_OF_ADDRESS {
                (record.actor, record.key_id, record.subject) = (None, None, None);
            }
            if self.failures.len() >= MOST_FAILURES {
                (record.actor, record.key_id, record.subject, record.address) = (None, None, None, None);
            }
        }
        let counted = if is_failure { &mut self.failures } else { &mut self.others };
        let is_full = !is_failure && counted.len() >= MOST;
        match counted.entry(Kind::of(&record)) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count = known.count.saturating_add(record.count);
                known.correlation_id = record.correlation_id;
                None
            }
            Entry::Vacant(_) if is_full => Some(record),
            Entry::Vacant(unknown) => {
                unknown.insert(Counted { since: now, count: 0, correlation_id: None });
                Some(record)
            }
        }
    }

    /// The records of what was counted for a minute, or of all that was counted; that is then forgotten.
    pub(super) fn ended(&mut self, now: Instant, all: bool) -> Vec<AuditRecord> {
        let has_ended = |counted: &Counted| all || now.duration_since(counted.since) >= WINDOW;
        let mut records = Vec::new();
        for place in [&mut self.failures, &mut self.others] {
            let (ended, others) =
                mem::take(place).into_iter().partition::<HashMap<_, _>, _>(|(_, counted)| has_ended(counted));
            *place = others;
            let counted = ended.into_iter().filter(|(_, counted)| counted.count > 0);
            records.extend(counted.map(|(kind, counted)| kind.record(counted)));
        }
        records
    }
}

impl Kind {
    fn of(record: &AuditRecord) -> Self {
        Self {
            action: record.action,
            actor: record.actor.clone(),
            key_id: record.key_id.clone(),
            address: record.address.clone(),
            subject: record.subject.clone(),
            outcome: record.outcome,
            reason: record.reason.clone(),
        }
    }

    fn record(self, Counted { count, correlation_id, .. }: Counted) -> AuditRecord {
        let Self { action, actor, key_id, address, subject, outcome, reason } = self;
        AuditRecord {
            actor,
            key_id,
            address,
            correlation_id,
            subject,
            outcome,
            reason,
            count,
            ..AuditRecord::now(action)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(address: &str, key_id: &str) -> AuditRecord {
        AuditRecord {
            address: Some(address.to_owned()),
            key_id: Some(key_id.to_owned()),
            correlation_id: Some(format!("of {key_id}")),
            outcome: Some(401),
            ..AuditRecord::now(RecordedAction::AuthenticationFailed).because("unknown key")
        }
    }

    fn counts(records: &[AuditRecord]) -> u32 {
        records.iter().map(|record| record.count).sum()
    }

    #[test]
    fn the_same_failure_is_one_record_and_then_one_a_minute() {
        let (mut repetitions, start) = (Repetitions::default(), Instant::now());
        assert!(repetitions.first(failure("192.0.2.7", "a"), start).is_some());
        for _ in 0..999 {
            assert!(repetitions.first(failure("192.0.2.7", "a"), start).is_none());
        }
        assert!(repetitions.first(failure("192.0.2.8", "a"), start).is_some(), "of another address");
        assert!(repetitions.ended(start + Duration::from_secs(59), false).is_empty());
        let counted = repetitions.ended(start + WINDOW, false);
        assert_eq!((counted.len(), counts(&counted)), (1, 999));
        let told = &counted[0];
        assert_eq!((told.address.as_deref(), told.key_id.as_deref()), (Some("192.0.2.7"), Some("a")));
        assert_eq!((told.reason.as_deref(), told.outcome), (Some("unknown key"), Some(401)));
        assert!(repetitions.first(failure("192.0.2.7", "a"), start).is_some(), "a minute later");
        assert!(repetitions.ended(start, true).is_empty(), "it happened once");
    }

    #[test]
    fn failures_that_differ_are_few_records_too_and_all_are_counted() {
        let (mut repetitions, start) = (Repetitions::default(), Instant::now());
        let mut flood = |address: &dyn Fn(usize) -> String| {
            let mut records: Vec<_> = (0..10_000)
                .filter_map(|i| repetitions.first(failure(&address(i), &format!("{i}")), start))
                .collect();
            records.extend(repetitions.ended(start, true));
            assert_eq!(counts(&records), 10_000);
            records
        };
        let of_one = flood(&|_| "192.0.2.7".to_owned());
        assert_eq!(of_one.len(), MOST_OF_ADDRESS + 2);
        assert!(of_one.iter().all(|record| record.address.is_some()), "the address is known");
        let of_many = flood(&|i| format!("2001:db8::{i:x}"));
        assert_eq!(of_many.len(), MOST_FAILURES + 2);
        // After it there is room for others again.
        assert!(repetitions.first(failure("192.0.2.7", "a"), start).unwrap().key_id.is_some());
    }

    #[test]
    fn decisions_and_changes_of_keys_are_recorded_each_time() {
        let (mut repetitions, now) = (Repetitions::default(), Instant::now());
        for action in [RecordedAction::AdminWrite, RecordedAction::KeyAdded, RecordedAction::KeyChanged] {
            for _ in 0..3 {
                assert!(repetitions.first(AuditRecord::now(action), now).is_some());
            }
        }
        let cancelled = |order: usize| AuditRecord {
            subject: Some(order.to_string()),
            ..AuditRecord::now(RecordedAction::CancellationRequested)
        };
        for order in 0..2 * MOST {
            assert!(repetitions.first(cancelled(order), now).is_some(), "another order");
        }
        assert!(repetitions.first(cancelled(0), now).is_none(), "the same again");
        assert!(repetitions.first(cancelled(2 * MOST - 1), now).is_some(), "more than are counted");
    }
}
