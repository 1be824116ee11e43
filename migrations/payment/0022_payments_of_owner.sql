-- no-transaction
-- The one before took its place, for services of an older version too.
DROP INDEX CONCURRENTLY IF EXISTS payments_of_owner;
