-- The simulated payment provider's own books. They stand for a company elsewhere: nothing of the payment service
-- reads or writes them but through the provider's interface, and never within a transaction of its own.
CREATE SCHEMA provider_simulator;

CREATE TABLE provider_simulator.charges (
    -- The idempotency key of the caller: one key, one charge.
    payment_id     uuid           PRIMARY KEY,
    amount         numeric(14, 2) NOT NULL,
    outcome        text           NOT NULL CHECK (outcome IN ('APPROVED', 'DECLINED', 'FAILED')),
    transaction_id text           NOT NULL,
    charged_at     timestamptz    NOT NULL DEFAULT now(),
    refunded_at    timestamptz
);
