-- What each replica counted in each ten seconds of the last hour, for the overview. Logged, so that it is there after a crash and
-- on the standby that takes over (services/chassis/src/samples). A replica numbers its samples, so that none is stored twice.
CREATE TABLE samples (
    replica         uuid        NOT NULL,
    number          bigint      NOT NULL,
    -- When the ten seconds began, on this server's clock.
    at              timestamptz NOT NULL,
    answered        bigint      NOT NULL,
    unanswered      bigint      NOT NULL,
    -- How long the provider took to answer: how many in each bucket (services/chassis/src/samples/latencies.rs).
    answer_times    bigint[]    NOT NULL,
    -- Whether this replica had stopped asking the provider at the end.
    breaker_open    boolean     NOT NULL,
    -- What every replica sees. None where it was not measured.
    unknown         bigint,
    outbox          bigint,
    queued          bigint,
    failed_messages bigint,
    PRIMARY KEY (replica, number)
);
CREATE INDEX samples_in_order ON samples (at);
