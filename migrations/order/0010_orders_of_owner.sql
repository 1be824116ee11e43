-- no-transaction
-- A client's orders, newest first, a page at a time.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_owner ON orders (owner, created_at DESC, id DESC);
