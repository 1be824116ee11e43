-- no-transaction
-- The audit in the order of time, as operators read it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_records_by_time ON audit_records (recorded_at, number);
