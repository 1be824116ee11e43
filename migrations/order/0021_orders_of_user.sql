-- no-transaction
-- A customer's orders with a client.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_user ON orders (owner, user_id, created_at, id);
