-- no-transaction
-- Payments by the provider's reference. Most get theirs with the answer to the charge, which is then written once.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_of_transaction ON payments (transaction_id) WHERE transaction_id IS NOT NULL;
