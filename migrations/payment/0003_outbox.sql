-- Events that are committed but not known to be on the broker. Rows are inserted and deleted, never updated.
CREATE TABLE outbox (
    event_id       uuid        PRIMARY KEY,
    event_type     text        NOT NULL,
    order_id       uuid        NOT NULL,
    correlation_id text,
    trace_context  jsonb       NOT NULL,
    body           text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
) WITH (
    -- Nearly every row dies young: vacuum by number of dead rows, not by their share of a table that is mostly empty.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 50000
);
