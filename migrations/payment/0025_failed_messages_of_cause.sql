-- no-transaction
-- The failed messages of a cause, the one that failed last first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS failed_messages_of_cause ON failed_messages (cause, last_seen DESC, id DESC);
