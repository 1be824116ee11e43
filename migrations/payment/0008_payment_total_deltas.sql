-- Totals that a held snapshot (a backup) does not slow down.
--
-- A row that every transaction updates leaves a dead version each time. While any snapshot is held none of them can be
-- removed, and each update walks over all of them. So what changes is only appended, and added up now and then: reading the
-- view is exact at every commit, as the table was.
LOCK TABLE payment_totals IN ACCESS EXCLUSIVE MODE;

CREATE TABLE payment_total_sums (
    status text           PRIMARY KEY,
    count  bigint         NOT NULL,
    amount numeric(28, 2) NOT NULL
);

CREATE TABLE payment_total_deltas (
    status text           NOT NULL,
    count  bigint         NOT NULL,
    amount numeric(28, 2) NOT NULL
) WITH (
    -- Rows die young: vacuum by number of dead rows.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

INSERT INTO payment_total_sums (status, count, amount) SELECT status, sum(count), sum(amount) FROM payment_totals GROUP BY status;
DROP TABLE payment_totals;

-- Under the name and with the columns that its readers know.
CREATE VIEW payment_totals AS
    SELECT status, count, amount FROM payment_total_sums
    UNION ALL
    SELECT status, count, amount FROM payment_total_deltas;

-- Adds the deltas up that are committed, if no other transaction is at it: a row is read either as a delta or as a part of its
-- sum, whichever is committed.
CREATE FUNCTION add_up_payment_totals() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended('paysaga payment totals', 0)) THEN
        WITH deltas AS (DELETE FROM payment_total_deltas RETURNING status, count, amount)
        INSERT INTO payment_total_sums AS sums (status, count, amount)
        SELECT status, sum(count), sum(amount) FROM deltas GROUP BY status
        ON CONFLICT (status) DO UPDATE SET count = sums.count + excluded.count, amount = sums.amount + excluded.amount;
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION total_payments() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- A statement's own trigger names only the transition tables that it has.
    IF TG_OP = 'INSERT' THEN
        INSERT INTO payment_total_deltas (status, count, amount)
        SELECT status, count(*), sum(amount) FROM added GROUP BY status;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO payment_total_deltas (status, count, amount)
        SELECT status, sum(change), sum(change * amount)
        FROM (SELECT status, amount, 1 AS change FROM added
              UNION ALL
              SELECT status, amount, -1 FROM removed) AS changes
        GROUP BY status HAVING sum(change) <> 0 OR sum(change * amount) <> 0;
    ELSE
        INSERT INTO payment_total_deltas (status, count, amount)
        SELECT status, -count(*), -sum(amount) FROM removed GROUP BY status;
    END IF;
    -- One statement in so many adds up, so that there are never many deltas to read.
    IF random() < 1.0 / 256 THEN
        PERFORM add_up_payment_totals();
    END IF;
    RETURN NULL;
END;
$$;
