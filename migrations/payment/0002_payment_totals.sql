-- How many payments have each status and how much they come to, exact at every commit, without ever scanning the table.
--
-- One row a status would make every transaction wait for every other. Each backend adds to a slot of its own
-- instead, and readers sum the slots.
CREATE TABLE payment_totals (
    status text           NOT NULL,
    slot   integer        NOT NULL,
    count  bigint         NOT NULL,
    amount numeric(28, 2) NOT NULL,
    PRIMARY KEY (status, slot)
) WITH (fillfactor = 50);

CREATE FUNCTION total_payments() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- A statement's own trigger names only the transition tables that it has.
    IF TG_OP = 'INSERT' THEN
        INSERT INTO payment_totals AS totals (status, slot, count, amount)
        SELECT status, pg_backend_pid() % 64, count(*), sum(amount)
        FROM added GROUP BY status ORDER BY status
        ON CONFLICT (status, slot)
        DO UPDATE SET count = totals.count + excluded.count, amount = totals.amount + excluded.amount;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO payment_totals AS totals (status, slot, count, amount)
        SELECT status, pg_backend_pid() % 64, sum(change), sum(change * amount)
        FROM (SELECT status, amount, 1 AS change FROM added
              UNION ALL
              SELECT status, amount, -1 FROM removed) AS changes
        GROUP BY status HAVING sum(change) <> 0 OR sum(change * amount) <> 0 ORDER BY status
        ON CONFLICT (status, slot)
        DO UPDATE SET count = totals.count + excluded.count, amount = totals.amount + excluded.amount;
    ELSE
        INSERT INTO payment_totals AS totals (status, slot, count, amount)
        SELECT status, pg_backend_pid() % 64, -count(*), -sum(amount)
        FROM removed GROUP BY status ORDER BY status
        ON CONFLICT (status, slot)
        DO UPDATE SET count = totals.count + excluded.count, amount = totals.amount + excluded.amount;
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER total_added AFTER INSERT ON payments
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION total_payments();
CREATE TRIGGER total_changed AFTER UPDATE ON payments
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION total_payments();
CREATE TRIGGER total_removed AFTER DELETE ON payments
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION total_payments();
