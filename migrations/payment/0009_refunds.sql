-- Refunds that the provider refuses, and what becomes of them.
ALTER TABLE payments
    -- Since when money is owed to the customer; no value while none is.
    ADD COLUMN refund_owed_since timestamptz,
    -- The provider's reason for refusing for good; no value unless an operator is to decide.
    ADD COLUMN refund_refusal text,
    -- What names the transfer by which an operator gave the money back.
    ADD COLUMN refund_reference text;

-- What the provider answered and what operators decided. About money, so it stays.
CREATE TABLE refund_audit (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id uuid        NOT NULL,
    action     text        NOT NULL,
    actor      text        NOT NULL,
    reference  text,
    note       text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX refund_audit_payment ON refund_audit (payment_id, id);

-- The simulated provider remembers since when it has refused to give a charge back.
ALTER TABLE provider_simulator.charges ADD COLUMN refund_refused_at timestamptz;
