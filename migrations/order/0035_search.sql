-- The latest orders with a correlation id, or of a trace, of all clients. Of one that more than a thousand orders share, a thousand are
-- looked at.
--
-- With the rights of the role that owns the table: a policy is asked before any function that could tell something about a row that
-- is not to be seen, and so the service itself could not use these indexes.
CREATE FUNCTION orders_of_correlation(wanted text, most bigint) RETURNS TABLE (order_id uuid, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT found.id, found.created_at
    FROM (SELECT id, orders.created_at FROM orders
          WHERE hashtext(correlation_id) = hashtext(wanted) AND correlation_id = wanted
          LIMIT 1000) AS found
    ORDER BY found.created_at DESC
    LIMIT most;
END;
REVOKE EXECUTE ON FUNCTION orders_of_correlation(text, bigint) FROM PUBLIC;

CREATE FUNCTION orders_of_trace(wanted text, most bigint) RETURNS TABLE (order_id uuid, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT found.id, found.created_at
    FROM (SELECT id, orders.created_at FROM orders
          WHERE hashtext(substr(trace_context ->> 'traceparent', 4, 32)) = hashtext(wanted)
            AND substr(trace_context ->> 'traceparent', 4, 32) = wanted
          LIMIT 1000) AS found
    ORDER BY found.created_at DESC
    LIMIT most;
END;
REVOKE EXECUTE ON FUNCTION orders_of_trace(text, bigint) FROM PUBLIC;
