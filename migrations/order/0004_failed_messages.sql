-- Messages that could not be handled: what came out of this service's dead-letter queues.
CREATE TABLE failed_messages (
    -- Derived from the queue and the message: the same message that fails again is the same row.
    id             uuid        PRIMARY KEY,
    queue          text        NOT NULL,
    exchange       text        NOT NULL,
    routing_key    text        NOT NULL,
    message_id     text,
    event_type     text,
    correlation_id text,
    trace_context  jsonb       NOT NULL,
    headers        jsonb       NOT NULL,
    body           bytea       NOT NULL,
    reason         text        NOT NULL,
    attempts       integer     NOT NULL DEFAULT 1,
    status         text        NOT NULL DEFAULT 'FAILED'
                               CHECK (status IN ('FAILED', 'REPLAYING', 'REPLAYED', 'DISCARDED')),
    first_seen     timestamptz NOT NULL DEFAULT now(),
    last_seen      timestamptz NOT NULL DEFAULT now(),
    -- When it is to be handled again.
    replay_at      timestamptz,
    CHECK ((status = 'REPLAYING') = (replay_at IS NOT NULL))
);

CREATE INDEX failed_messages_newest ON failed_messages (last_seen DESC, id DESC);
CREATE INDEX failed_messages_open ON failed_messages (queue, last_seen) WHERE status = 'FAILED';
CREATE INDEX failed_messages_replaying ON failed_messages (replay_at) WHERE replay_at IS NOT NULL;

-- What was done about them, by whom, for ever.
CREATE TABLE failed_message_audit (
    id                bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    failed_message_id uuid        NOT NULL REFERENCES failed_messages,
    action            text        NOT NULL,
    actor             text        NOT NULL,
    note              text,
    at                timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX failed_message_audit_message ON failed_message_audit (failed_message_id, id);

-- Why a consumer rejected a message, until the message itself arrives from its dead-letter queue: a rejection can't
-- carry a reason (AMQP 0-9-1).
CREATE TABLE rejections (
    failed_message_id uuid        PRIMARY KEY,
    reason            text        NOT NULL,
    rejected_at       timestamptz NOT NULL DEFAULT now()
);
