-- no-transaction
-- A client's payments, newest first, a page at a time.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_of_owner ON payments (owner, created_at DESC, id DESC);
