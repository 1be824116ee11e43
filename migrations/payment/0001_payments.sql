-- Payments, as outside tools may read them: id, order_id and status.
CREATE TABLE payments (
    id               uuid           PRIMARY KEY,
    order_id         uuid           NOT NULL UNIQUE,
    amount           numeric(14, 2) NOT NULL CHECK (amount > 0),
    status           text           NOT NULL CHECK (status IN
                         ('PROCESSING', 'APPROVED', 'DECLINED', 'FAILED', 'CANCELLED', 'REFUNDED')),
    transaction_id   text,
    -- The order was cancelled: money that was taken must go back, money that wasn't must stay.
    cancel_requested boolean        NOT NULL DEFAULT false,
    -- What the provider is to be asked next, and when. Taking a step moves due_at past the lease; a replica that
    -- dies with the step in hand leaves it to whoever comes when the lease has lapsed.
    next_step        text           CHECK (next_step IN ('CHARGE', 'LOOKUP', 'REFUND')),
    due_at           timestamptz,
    attempts         integer        NOT NULL DEFAULT 0,
    -- When a charge was last sent off; an answer "no such charge" soon after it proves nothing.
    last_charge_at   timestamptz,
    last_error       text,
    -- Where the answer belongs: events that the provider's answer causes join the saga's correlation and trace.
    correlation_id   text,
    trace_context    jsonb          NOT NULL,
    created_at       timestamptz    NOT NULL DEFAULT now(),
    updated_at       timestamptz    NOT NULL DEFAULT now(),
    CHECK ((next_step IS NULL) = (due_at IS NULL))
);

-- Newest first, a page at a time.
CREATE INDEX payments_newest ON payments (created_at DESC, id DESC);

-- The work list: steps by the time at which they are due.
CREATE INDEX payments_due ON payments (due_at) WHERE due_at IS NOT NULL;

-- A cancellation that arrived before its order.created did. Kept for ever: the order may come at any time, replayed
-- from a dead-letter queue even years later, and must never be charged.
CREATE TABLE early_cancellations (
    order_id     uuid        PRIMARY KEY,
    cancelled_at timestamptz NOT NULL DEFAULT now()
);

-- How long to wait before the provider is asked again: seconds at first, then minutes, with up to a quarter more at
-- random so that a backlog does not come back all at once.
CREATE FUNCTION retry_delay(attempts integer) RETURNS interval
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN least(power(2, least(attempts, 20) - 1), 300) * (1 + random() / 4) * interval '1 second';
