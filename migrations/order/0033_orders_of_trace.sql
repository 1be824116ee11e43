-- no-transaction
-- Orders by the trace of the request that placed them, likewise.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_trace ON orders (hashtext(substr(trace_context ->> 'traceparent', 4, 32)));
