-- In which transaction each event was committed, so that all orders' events can be read in an order in which none comes late:
-- `position` is given before the commit, and a transaction that got a lower one may commit after another that got a higher one.
-- Those of transactions older than the oldest in progress are complete (docs/ARCHITECTURE.md, "As it happens").
--
-- The default is not volatile, so no row is rewritten: what is here already has the id of this transaction. What a service of an
-- older version adds beside this one has the id of its own.
ALTER TABLE order_events ADD COLUMN transaction xid8 NOT NULL DEFAULT pg_current_xact_id();

-- A dump brings the ids of another server's transactions along, which this one may not have reached yet. Such events are given the
-- id of this transaction, in their order, some thousands at a time; the number of them is returned. With the rights of the role that
-- owns the table: the service may change nothing that happened, and this changes nothing of it.
CREATE FUNCTION adopt_restored_events() RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    WITH restored AS (
        SELECT order_id, event_id, transaction FROM order_events
        WHERE transaction >= pg_snapshot_xmax(pg_current_snapshot())
        ORDER BY transaction, position
        LIMIT 5000
    ), adopted AS (
        UPDATE order_events SET transaction = pg_current_xact_id()
        FROM restored
        -- Another replica may have given them one meanwhile.
        WHERE order_events.order_id = restored.order_id AND order_events.event_id = restored.event_id
          AND order_events.transaction = restored.transaction
        RETURNING 1
    )
    SELECT count(*) FROM adopted;
END;
REVOKE EXECUTE ON FUNCTION adopt_restored_events() FROM PUBLIC;
