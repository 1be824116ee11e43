-- no-transaction
-- Orders by the correlation id of the request that placed them, the latest of them last. Of a hash: a client's id may have 128
-- characters, and this is written twice for each order.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_correlation ON orders (hashtextextended(correlation_id, 0), created_at);
