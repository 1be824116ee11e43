-- no-transaction
-- The same of one client: it must not cost more the more the others have.
CREATE INDEX CONCURRENTLY IF NOT EXISTS order_events_of_owner ON order_events (owner, transaction, position);
