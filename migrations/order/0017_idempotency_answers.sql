-- A request with an Idempotency-Key is executed once and then answered as it was the first time. Until when the request that is being
-- executed may take: a duplicate request waits that long for its answer, and is executed after that.
ALTER TABLE idempotency_keys ADD COLUMN executing_until timestamptz;

-- Which request is being executed: its claim may be sent again, when the answer to it was lost, and is the same one then.
ALTER TABLE idempotency_keys ADD COLUMN executing_request uuid;

-- The first answer. Its body only where it can't be told from the key and the order's id: an order that was waited for.
ALTER TABLE idempotency_keys
    ADD COLUMN answer_status integer,
    ADD COLUMN answer_body   text;
