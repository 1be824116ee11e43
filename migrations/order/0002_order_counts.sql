-- How many orders have each status, exact at every commit, without ever scanning the table.
--
-- One row a status would make every transaction wait for every other. Each backend adds to a slot of its own
-- instead, and readers sum the slots.
CREATE TABLE order_counts (
    status text    NOT NULL,
    slot   integer NOT NULL,
    count  bigint  NOT NULL,
    PRIMARY KEY (status, slot)
) WITH (fillfactor = 50);

CREATE FUNCTION count_orders() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- A statement's own trigger names only the transition tables that it has.
    IF TG_OP = 'INSERT' THEN
        INSERT INTO order_counts AS counts (status, slot, count)
        SELECT status, pg_backend_pid() % 64, count(*)
        FROM added GROUP BY status ORDER BY status
        ON CONFLICT (status, slot) DO UPDATE SET count = counts.count + excluded.count;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO order_counts AS counts (status, slot, count)
        SELECT status, pg_backend_pid() % 64, sum(change)
        FROM (SELECT status, 1 AS change FROM added UNION ALL SELECT status, -1 FROM removed) AS changes
        GROUP BY status HAVING sum(change) <> 0 ORDER BY status
        ON CONFLICT (status, slot) DO UPDATE SET count = counts.count + excluded.count;
    ELSE
        INSERT INTO order_counts AS counts (status, slot, count)
        SELECT status, pg_backend_pid() % 64, -count(*)
        FROM removed GROUP BY status ORDER BY status
        ON CONFLICT (status, slot) DO UPDATE SET count = counts.count + excluded.count;
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER count_added AFTER INSERT ON orders
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_orders();
CREATE TRIGGER count_changed AFTER UPDATE ON orders
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_orders();
CREATE TRIGGER count_removed AFTER DELETE ON orders
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_orders();
