-- no-transaction
-- Timelines by age, for their deletion.
CREATE INDEX CONCURRENTLY IF NOT EXISTS order_events_recorded ON order_events (recorded_at);
