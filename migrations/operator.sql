-- Lets :"operator", the role of the operator's command, read a database that :"owner" owns, and nothing else: what is in it, and
-- what later migrations will put there.
--
-- For psql, as a superuser connected to that database; both roles exist. It may be run again:
--   psql --set=operator=paysaga-operator --set=owner=order-owner --file=operator.sql order
\set ON_ERROR_STOP on
BEGIN;
SELECT current_database() AS database \gset
GRANT CONNECT ON DATABASE :"database" TO :"operator";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT USAGE ON SCHEMAS TO :"operator";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT SELECT ON TABLES TO :"operator";
GRANT USAGE ON SCHEMA public TO :"operator";
SELECT format('GRANT USAGE ON SCHEMA %I TO %I; GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO %2$I', nspname, :'operator')
FROM pg_namespace WHERE nspname = 'public' OR nspowner = :'owner'::regrole
\gexec
COMMIT;
