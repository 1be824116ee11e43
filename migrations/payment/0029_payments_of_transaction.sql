-- no-transaction
-- Payments by the provider's reference. It may be of any length, and an entry of a btree may not: above 2 704 bytes the write that
-- records a charge would fail.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_of_transaction ON payments USING hash (transaction_id)
    WHERE transaction_id IS NOT NULL;
