#!/usr/bin/env bash
# Gives each database to the role that owns its schema, as the superuser of the local PostgreSQL.
#   $1 roles.sql   further: the services' roles, each of which has a database of the same name
set -euo pipefail
roles=$1
shift
for service in "$@"; do
  psql --no-psqlrc --quiet --set="service=$service" --set="owner=$service-owner" --file="$roles" "$service"
done
