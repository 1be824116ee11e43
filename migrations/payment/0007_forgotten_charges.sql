-- The simulated provider forgets charges of payments that came to their end before this time. One row at most: an auditor
-- expects no such charge.
CREATE TABLE provider_simulator.forgotten (
    one    boolean     PRIMARY KEY DEFAULT true CHECK (one),
    before timestamptz NOT NULL
);
