-- no-transaction
-- Events by their id. The ids are made in the order of time, so that nearly all are added at the end.
CREATE INDEX CONCURRENTLY IF NOT EXISTS order_events_of_id ON order_events (event_id);
