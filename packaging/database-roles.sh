#!/usr/bin/env bash
# Run once by the image of PostgreSQL, when it has made the database POSTGRES_DB: makes the service's role, which has the
# database's name, and the role that owns its schema. Their passwords are secrets of compose.yaml.
set -euo pipefail

service=$POSTGRES_DB
for role in "$service" "$service-owner"; do
  # Through standard input: a command line can be read by others.
  psql --no-psqlrc --quiet --username="$POSTGRES_USER" --dbname="$service" --set=ON_ERROR_STOP=on --set="role=$role" <<END
SET log_min_error_statement = panic;
CREATE ROLE :"role" LOGIN PASSWORD '$(<"/run/secrets/$role-database-password")';
END
done
psql --no-psqlrc --quiet --username="$POSTGRES_USER" --dbname="$service" --set="service=$service" --set="owner=$service-owner" \
  --file=/opt/roles.sql
