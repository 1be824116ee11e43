-- no-transaction
-- A client's orders by status.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_owner_and_status ON orders (owner, status, created_at, id);
