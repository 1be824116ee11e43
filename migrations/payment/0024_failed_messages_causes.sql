-- no-transaction
-- Open failures by cause: all that is said of causes is read from here alone.
CREATE INDEX CONCURRENTLY IF NOT EXISTS failed_messages_causes ON failed_messages (cause, queue, event_type, order_id)
    INCLUDE (amount, first_seen, last_seen) WHERE status = 'FAILED';
