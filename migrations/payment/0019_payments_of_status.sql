-- no-transaction
-- Payments by status, for operators. In ascending order: new payments are added at the end of their status, where a full page is
-- split unevenly and stays full. The list is read backwards as well as forwards.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_of_status ON payments (status, created_at, id);
