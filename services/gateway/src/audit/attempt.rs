//! An operation that is recorded with its outcome, or without one if its caller goes away first.

use contracts::audit_record::AuditRecord;

use super::Audit;

/// An operation under way. A caller who hangs up ends its handler, but perhaps not what it had begun: dropped without an outcome,
/// it is recorded as well.
pub(crate) struct Attempt<'a> {
    audit: &'a Audit,
    record: Option<AuditRecord>,
}

impl<'a> Attempt<'a> {
    pub(crate) const fn new(audit: &'a Audit, record: AuditRecord) -> Self {
        Self { audit, record: Some(record) }
    }

    /// Notes why it is done.
    pub(crate) fn because(&mut self, reason: &str) {
        self.record = self.record.take().map(|record| record.because(reason));
    }

    /// Records it with the status of its answer.
    pub(crate) fn answered(mut self, status: u16) {
        if let Some(record) = &mut self.record {
            record.outcome = Some(status);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.audit.record(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::audit_record::RecordedAction;

    use super::*;

    #[test]
    fn an_attempt_is_recorded_once_however_it_ends() {
        let (audit, mut queue) = Audit::new(8);
        let attempt = || Attempt::new(&audit, AuditRecord::now(RecordedAction::AdminWrite));
        let mut answered = attempt();
        answered.because("a duplicate");
        answered.answered(202);
        drop(attempt());
        let records = [queue.try_recv().unwrap(), queue.try_recv().unwrap()];
        assert_eq!((records[0].outcome, records[0].reason.as_deref()), (Some(202), Some("a duplicate")));
        assert_eq!((records[1].outcome, records[1].reason.as_deref()), (None, None));
        assert!(queue.try_recv().is_err());
    }
}
