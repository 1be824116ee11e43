-- no-transaction
-- A client's payments: payments_of_owner, in one direction for all of its columns.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_of_owner_by_time ON payments (owner, created_at, id);
