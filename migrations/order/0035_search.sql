-- The latest orders with a correlation id, or of a trace, of all clients.
--
-- With the rights of the role that owns the table: a policy is asked before any function that could tell something about a row that
-- is not to be seen, and so the service itself could not use these indexes.
CREATE FUNCTION orders_of_correlation(wanted text, most bigint) RETURNS TABLE (order_id uuid, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT id, orders.created_at FROM orders
    WHERE hashtextextended(correlation_id, 0) = hashtextextended(wanted, 0) AND correlation_id = wanted
    ORDER BY hashtextextended(correlation_id, 0) DESC, orders.created_at DESC
    LIMIT most;
END;
REVOKE EXECUTE ON FUNCTION orders_of_correlation(text, bigint) FROM PUBLIC;

CREATE FUNCTION orders_of_trace(wanted text, most bigint) RETURNS TABLE (order_id uuid, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT id, orders.created_at FROM orders
    WHERE hashtextextended(substr(trace_context ->> 'traceparent', 4, 32), 0) = hashtextextended(wanted, 0)
      AND substr(trace_context ->> 'traceparent', 4, 32) = wanted
    ORDER BY hashtextextended(substr(trace_context ->> 'traceparent', 4, 32), 0) DESC, orders.created_at DESC
    LIMIT most;
END;
REVOKE EXECUTE ON FUNCTION orders_of_trace(text, bigint) FROM PUBLIC;
