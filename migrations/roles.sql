-- Gives a database to the role that owns and migrates its schema, :"owner". The role that the service works as, :"service", may
-- connect; what else it may do, grants.sql says, after each migration. No other role may connect.
--
-- For psql, as a superuser connected to that database; both roles exist. It may be run again, and also on a database that the
-- service's role owned before:
--   psql --set=service=order --set=owner=order-owner --file=roles.sql order
\set ON_ERROR_STOP on
-- The tables are locked for a moment. Everything that comes after this in the queue for a lock waits too: it is better to try again.
SET lock_timeout = '2s';
BEGIN;
SELECT current_database() AS database \gset
ALTER DATABASE :"database" OWNER TO :"owner";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"service";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO :"owner";
-- A version that knows one role alone needs this right, where it was put back (docs/DEPLOY.md).
REVOKE CREATE ON SCHEMA public FROM :"service";
REASSIGN OWNED BY :"service" TO :"owner";
COMMIT;
