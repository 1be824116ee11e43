-- no-transaction
-- A client's payments by status.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_of_owner_and_status ON payments (owner, status, created_at, id);
