-- no-transaction
-- Orders by the trace of the request that placed them, the latest of them last.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_trace
    ON orders (hashtextextended(substr(trace_context ->> 'traceparent', 4, 32), 0), created_at);
