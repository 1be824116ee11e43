-- no-transaction
-- The primary key of the next migration: several clients may cancel an order that is not here yet.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS early_cancellations_of_owner ON early_cancellations (order_id, owner);
