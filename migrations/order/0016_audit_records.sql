-- The audit: who was refused, who cancelled what, what operators looked at and did, and how keys changed. What each column means
-- and what the hash covers is in contracts/src/audit_record.rs and contracts/src/audit_chain.rs; `paysaga check` verifies it.
--
-- The service may only add to it (grants.sql), and nothing deletes from it (docs/OPERATIONS.md, "The audit").
CREATE TABLE audit_records (
    -- The place in the chain, from 1 on without a gap.
    number         bigint         PRIMARY KEY,
    -- Made by the gateway: sent again, it is the same record.
    id             uuid           NOT NULL UNIQUE,
    recorded_at    timestamptz(3) NOT NULL,
    action         text           NOT NULL,
    actor          text,
    key_id         text,
    address        text,
    correlation_id text,
    subject        text,
    outcome        integer,
    reason         text,
    count          bigint         NOT NULL,
    hash           bytea          NOT NULL CHECK (octet_length(hash) = 32)
);
