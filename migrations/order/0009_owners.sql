-- Whose each order is: the client whose API key placed the order. What is here already belongs to `anonymous`, as what a gateway
-- without authentication accepts does; so does what a service of an older version adds beside this one.
ALTER TABLE orders ADD COLUMN owner text NOT NULL DEFAULT 'anonymous';
ALTER TABLE order_events ADD COLUMN owner text NOT NULL DEFAULT 'anonymous';

-- A cancellation that overtook its order counts for an order of this client, or of any (`*`).
ALTER TABLE early_cancellations ADD COLUMN owner text NOT NULL DEFAULT '*';

-- Counted for each client.
LOCK TABLE order_count_sums, order_count_deltas IN ACCESS EXCLUSIVE MODE;
ALTER TABLE order_count_sums
    ADD COLUMN owner text NOT NULL DEFAULT 'anonymous',
    DROP CONSTRAINT order_count_sums_pkey,
    ADD PRIMARY KEY (owner, status);
ALTER TABLE order_count_deltas ADD COLUMN owner text NOT NULL DEFAULT 'anonymous';

CREATE OR REPLACE VIEW order_counts AS
    SELECT status, count, owner FROM order_count_sums
    UNION ALL
    SELECT status, count, owner FROM order_count_deltas;

CREATE OR REPLACE FUNCTION add_up_order_counts() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended('paysaga order counts', 0)) THEN
        WITH deltas AS (DELETE FROM order_count_deltas RETURNING owner, status, count)
        INSERT INTO order_count_sums AS sums (owner, status, count)
        SELECT owner, status, sum(count) FROM deltas GROUP BY owner, status
        ON CONFLICT (owner, status) DO UPDATE SET count = sums.count + excluded.count;
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION count_orders() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- A statement's own trigger names only the transition tables that it has.
    IF TG_OP = 'INSERT' THEN
        INSERT INTO order_count_deltas (owner, status, count)
        SELECT owner, status, count(*) FROM added GROUP BY owner, status;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO order_count_deltas (owner, status, count)
        SELECT owner, status, sum(change)
        FROM (SELECT owner, status, 1 AS change FROM added UNION ALL SELECT owner, status, -1 FROM removed) AS changes
        GROUP BY owner, status HAVING sum(change) <> 0;
    ELSE
        INSERT INTO order_count_deltas (owner, status, count)
        SELECT owner, status, -count(*) FROM removed GROUP BY owner, status;
    END IF;
    -- One statement in so many adds up, so that there are never many deltas to read.
    IF random() < 1.0 / 256 THEN
        PERFORM add_up_order_counts();
    END IF;
    RETURN NULL;
END;
$$;
