-- Orders, as outside tools may read them: id and status.
CREATE TABLE orders (
    id            uuid           PRIMARY KEY,
    user_id       uuid           NOT NULL,
    total         numeric(14, 2) NOT NULL CHECK (total > 0),
    status        text           NOT NULL CHECK (status IN ('PENDING_PAYMENT', 'PAID', 'CANCELLED', 'FAILED')),
    cancel_reason text           CHECK (cancel_reason IN ('USER_REQUESTED', 'PAYMENT_DECLINED', 'PAYMENT_TIMEOUT')),
    -- Where the order came from: what its deadline causes joins the saga's correlation and trace.
    correlation_id text,
    trace_context jsonb          NOT NULL,
    created_at    timestamptz    NOT NULL DEFAULT now(),
    updated_at    timestamptz    NOT NULL DEFAULT now(),
    CHECK ((status = 'CANCELLED') = (cancel_reason IS NOT NULL))
);

-- Newest first, a page at a time.
CREATE INDEX orders_newest ON orders (created_at DESC, id DESC);

-- The sagas that still wait for their payment.
CREATE INDEX orders_pending ON orders (created_at) WHERE status = 'PENDING_PAYMENT';

-- A cancellation that arrived before its order did. Kept for ever: the order may come at any time, replayed from a
-- dead-letter queue even years later.
CREATE TABLE early_cancellations (
    order_id     uuid        PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now()
);

-- What each Idempotency-Key stands for. The order's id is derived from the key.
CREATE TABLE idempotency_keys (
    order_id    uuid        PRIMARY KEY,
    fingerprint text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- The saga's timeline: every event about an order that this service heard or said. An event that comes again is the
-- same row.
CREATE TABLE order_events (
    order_id    uuid        NOT NULL,
    event_id    uuid        NOT NULL,
    event_type  text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    status      text,
    payload     jsonb       NOT NULL,
    position    bigint      GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (order_id, event_id)
);
