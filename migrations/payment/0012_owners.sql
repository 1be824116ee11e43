-- Whose each payment is: the client whose API key placed the order. What is here already belongs to `anonymous`, as what a gateway
-- without authentication accepts does; so does what a service of an older version adds beside this one.
ALTER TABLE payments ADD COLUMN owner text NOT NULL DEFAULT 'anonymous';

-- A cancellation that overtook its order counts for an order of this client, or of any (`*`).
ALTER TABLE early_cancellations ADD COLUMN owner text NOT NULL DEFAULT '*';

-- Counted for each client.
LOCK TABLE payment_total_sums, payment_total_deltas IN ACCESS EXCLUSIVE MODE;
ALTER TABLE payment_total_sums
    ADD COLUMN owner text NOT NULL DEFAULT 'anonymous',
    DROP CONSTRAINT payment_total_sums_pkey,
    ADD PRIMARY KEY (owner, status);
ALTER TABLE payment_total_deltas ADD COLUMN owner text NOT NULL DEFAULT 'anonymous';

CREATE OR REPLACE VIEW payment_totals AS
    SELECT status, count, amount, owner FROM payment_total_sums
    UNION ALL
    SELECT status, count, amount, owner FROM payment_total_deltas;

CREATE OR REPLACE FUNCTION add_up_payment_totals() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended('paysaga payment totals', 0)) THEN
        WITH deltas AS (DELETE FROM payment_total_deltas RETURNING owner, status, count, amount)
        INSERT INTO payment_total_sums AS sums (owner, status, count, amount)
        SELECT owner, status, sum(count), sum(amount) FROM deltas GROUP BY owner, status
        ON CONFLICT (owner, status)
        DO UPDATE SET count = sums.count + excluded.count, amount = sums.amount + excluded.amount;
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION total_payments() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- A statement's own trigger names only the transition tables that it has.
    IF TG_OP = 'INSERT' THEN
        INSERT INTO payment_total_deltas (owner, status, count, amount)
        SELECT owner, status, count(*), sum(amount) FROM added GROUP BY owner, status;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO payment_total_deltas (owner, status, count, amount)
        SELECT owner, status, sum(change), sum(change * amount)
        FROM (SELECT owner, status, amount, 1 AS change FROM added
              UNION ALL
              SELECT owner, status, amount, -1 FROM removed) AS changes
        GROUP BY owner, status HAVING sum(change) <> 0 OR sum(change * amount) <> 0;
    ELSE
        INSERT INTO payment_total_deltas (owner, status, count, amount)
        SELECT owner, status, -count(*), -sum(amount) FROM removed GROUP BY owner, status;
    END IF;
    -- One statement in so many adds up, so that there are never many deltas to read.
    IF random() < 1.0 / 256 THEN
        PERFORM add_up_payment_totals();
    END IF;
    RETURN NULL;
END;
$$;
