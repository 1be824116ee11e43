-- When the results of payments could be heard: a consumer was there, and had read what was waiting. The saga's deadline
-- counts these times only. A row a period, prolonged every second; a new one after each outage.
CREATE TABLE listening (
    started_at  timestamptz PRIMARY KEY,
    heard_until timestamptz NOT NULL,
    CHECK (heard_until >= started_at)
);

-- The time before which an order must have been placed for its deadline to have passed: since then, results could be heard
-- for as long as an order may wait. None if they have not been heard for so long.
CREATE FUNCTION overdue_before(saga_timeout interval) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT started_at + (heard - saga_timeout)
    FROM (SELECT started_at, sum(heard_until - started_at) OVER (ORDER BY started_at DESC) AS heard
          FROM listening) AS periods
    WHERE heard >= saga_timeout
    ORDER BY started_at DESC
    LIMIT 1
);
