-- Failed messages by cause, another body for one, and replays that last.
--
-- What a service of an older version stores has no cause: it is grouped by its reason.
ALTER TABLE failed_messages
    -- The reason without what differs from message to message (contracts/src/failure_cause.rs).
    ADD COLUMN cause         text,
    -- The order that it is about, and what that comes to, as far as that was known when it failed.
    ADD COLUMN order_id      uuid,
    ADD COLUMN amount        numeric(14, 2),
    -- The body that it came with, if an operator gave it another one. That one is its `body`, with which every version handles it.
    ADD COLUMN original_body bytea;

-- What waits for a decision, with the cause that it is grouped by.
CREATE VIEW open_failures AS
    SELECT cause, queue, event_type, order_id, amount, first_seen, last_seen
    FROM failed_messages WHERE status = 'FAILED' AND cause IS NOT NULL
    UNION ALL
    SELECT reason, queue, event_type, NULL::uuid, NULL::numeric, first_seen, last_seen
    FROM failed_messages WHERE status = 'FAILED' AND cause IS NULL;

-- Operations by which many failed messages are handled again.
CREATE TABLE replays (
    id              uuid        PRIMARY KEY,
    status          text        NOT NULL DEFAULT 'RUNNING' CHECK (status IN
                        ('RUNNING', 'PAUSED', 'STOPPED', 'CANCELLED', 'COMPLETED', 'COMPLETED_WITH_FAILURES')),
    actor           text        NOT NULL,
    reason          text        NOT NULL,
    filter          jsonb       NOT NULL,
    -- Messages of each of the first waves.
    canary          bigint[]    NOT NULL,
    wave            bigint      NOT NULL DEFAULT 1,
    waves           bigint      NOT NULL,
    stop_after      bigint      NOT NULL,
    -- Messages that failed again since it began or was last resumed.
    failures        bigint      NOT NULL DEFAULT 0,
    rate_per_second bigint,
    -- When its next message may be taken, by any replica: the rate.
    next_at         timestamptz NOT NULL DEFAULT now(),
    -- How many messages it has, and how many have each outcome.
    members         bigint      NOT NULL,
    handled         bigint      NOT NULL DEFAULT 0,
    failed_again    bigint      NOT NULL DEFAULT 0,
    skipped         bigint      NOT NULL DEFAULT 0,
    already_handled bigint      NOT NULL DEFAULT 0,
    -- What its messages had failed for, as objects with cause, queue and event_type.
    causes          jsonb       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- When the last message had an outcome.
    updated_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz
);

CREATE INDEX replays_newest ON replays (created_at DESC, id DESC);
CREATE INDEX replays_unfinished ON replays (created_at) WHERE finished_at IS NULL;

-- Their messages, chosen when they begin. No foreign keys: a message that has been dealt with is deleted after its time,
-- whether or not it was in a replay, and a hundred thousand members are added within a request.
CREATE TABLE replay_members (
    replay_id         uuid        NOT NULL,
    position          bigint      NOT NULL,
    failed_message_id uuid        NOT NULL,
    wave              bigint      NOT NULL,
    -- When a replica took it. It is in that replica's hands as long as its message is REPLAYING.
    begun_at          timestamptz,
    -- It was held for a newer version, and is tried again after this time.
    not_before        timestamptz NOT NULL DEFAULT '-infinity',
    outcome           text        CHECK (outcome IN ('HANDLED', 'FAILED_AGAIN', 'SKIPPED', 'ALREADY_HANDLED')),
    at                timestamptz,
    reason            text,
    PRIMARY KEY (replay_id, position),
    CHECK ((outcome IS NULL) = (at IS NULL))
);

-- A message is in one replay at a time.
CREATE UNIQUE INDEX replay_members_open ON replay_members (failed_message_id) WHERE outcome IS NULL;
CREATE INDEX replay_members_waiting ON replay_members (replay_id, wave, position) WHERE outcome IS NULL;
CREATE INDEX replay_members_begun ON replay_members (replay_id) WHERE outcome IS NULL AND begun_at IS NOT NULL;

-- What was decided about them, and by whom.
CREATE TABLE replay_decisions (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    replay_id uuid        NOT NULL,
    action    text        NOT NULL,
    actor     text        NOT NULL,
    reason    text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX replay_decisions_of_replay ON replay_decisions (replay_id, id);
