-- Counters that a held snapshot (a backup) does not slow down.
--
-- A row that every transaction updates leaves a dead version each time. While any snapshot is held none of them can be
-- removed, and each update walks over all of them. So what changes is only appended, and added up now and then: reading the
-- view is exact at every commit, as the table was.
LOCK TABLE order_counts IN ACCESS EXCLUSIVE MODE;

CREATE TABLE order_count_sums (
    status text   PRIMARY KEY,
    count  bigint NOT NULL
);

CREATE TABLE order_count_deltas (
    status text   NOT NULL,
    count  bigint NOT NULL
) WITH (
    -- Rows die young: vacuum by number of dead rows.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

INSERT INTO order_count_sums (status, count) SELECT status, sum(count) FROM order_counts GROUP BY status;
DROP TABLE order_counts;

-- Under the name and with the columns that its readers know.
CREATE VIEW order_counts AS
    SELECT status, count FROM order_count_sums
    UNION ALL
    SELECT status, count FROM order_count_deltas;

-- Adds the deltas up that are committed, if no other transaction is at it: a row is read either as a delta or as a part of its
-- sum, whichever is committed.
CREATE FUNCTION add_up_order_counts() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended('paysaga order counts', 0)) THEN
        WITH deltas AS (DELETE FROM order_count_deltas RETURNING status, count)
        INSERT INTO order_count_sums AS sums (status, count)
        SELECT status, sum(count) FROM deltas GROUP BY status
        ON CONFLICT (status) DO UPDATE SET count = sums.count + excluded.count;
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION count_orders() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- A statement's own trigger names only the transition tables that it has.
    IF TG_OP = 'INSERT' THEN
        INSERT INTO order_count_deltas (status, count)
        SELECT status, count(*) FROM added GROUP BY status;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO order_count_deltas (status, count)
        SELECT status, sum(change)
        FROM (SELECT status, 1 AS change FROM added UNION ALL SELECT status, -1 FROM removed) AS changes
        GROUP BY status HAVING sum(change) <> 0;
    ELSE
        INSERT INTO order_count_deltas (status, count)
        SELECT status, -count(*) FROM removed GROUP BY status;
    END IF;
    -- One statement in so many adds up, so that there are never many deltas to read.
    IF random() < 1.0 / 256 THEN
        PERFORM add_up_order_counts();
    END IF;
    RETURN NULL;
END;
$$;
