-- no-transaction
-- Orders by the correlation id of the request that placed them. Of a hash of four bytes, since it is written twice for each order, and
-- a client's id may have 128 characters.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_correlation ON orders (hashtext(correlation_id));
