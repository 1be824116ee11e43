-- What each replica counted in each ten seconds of the last hour, for the overview. Logged, so that it is there after a crash and
-- on the standby that takes over (services/chassis/src/samples). A replica numbers its samples, so that none is stored twice.
CREATE TABLE samples (
    replica         uuid        NOT NULL,
    number          bigint      NOT NULL,
    -- When the ten seconds began, on this server's clock.
    at              timestamptz NOT NULL,
    placed          bigint      NOT NULL,
    paid            bigint      NOT NULL,
    cancelled       bigint      NOT NULL,
    failed          bigint      NOT NULL,
    -- How long orders took to settle: how many in each bucket (services/chassis/src/samples/latencies.rs).
    settle_times    bigint[]    NOT NULL,
    -- What every replica sees. None where it was not measured.
    pending         bigint,
    outbox          bigint,
    queued          bigint,
    failed_messages bigint,
    PRIMARY KEY (replica, number)
);
CREATE INDEX samples_in_order ON samples (at);
