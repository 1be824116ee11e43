-- no-transaction
-- A client's orders: orders_of_owner, in one direction for all of its columns.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_owner_by_time ON orders (owner, created_at, id);
