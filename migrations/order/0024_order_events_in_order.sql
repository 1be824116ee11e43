-- no-transaction
-- All orders' events in the order in which they are read on.
CREATE INDEX CONCURRENTLY IF NOT EXISTS order_events_in_order ON order_events (transaction, position);
