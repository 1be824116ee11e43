-- no-transaction
-- Orders by status, for operators. In ascending order: new orders are added at the end of their status, where a full page is split
-- unevenly and stays full. The list is read backwards as well as forwards.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_status ON orders (status, created_at, id);
