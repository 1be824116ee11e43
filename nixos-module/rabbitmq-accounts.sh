#!/usr/bin/env bash
# Generates a password for each service that has none yet, and from the passwords what the services and RabbitMQ read.
#   $1 template of the definitions   $2 host and port of RabbitMQ   $3 virtual host   further: the services
# Runs with its state directory as working directory; what it writes is readable by its own user only.
set -euo pipefail
umask 077
template=$1 address=$2 vhost=$3
shift 3

# RabbitMQ's salted hash: base64(salt + sha256(salt + password)), https://www.rabbitmq.com/docs/passwords
hash_of() {
  head -c 4 /dev/urandom >salt
  {
    cat salt
    { cat salt && printf %s "$1"; } | sha256sum | cut -c-64 | tr a-f A-F | basenc --base16 --decode
  } | base64 --wrap=0
  rm salt
}

: >substitutions
for service in "$@"; do
  if [[ ! -s $service.password ]]; then
    head -c 24 /dev/urandom | basenc --base64url --wrap=0 >"$service.password.new"
    mv "$service.password.new" "$service.password"
  fi
  password=$(<"$service.password")
  printf 'amqp://paysaga-%s:%s@%s/%s\n' "$service" "$password" "$address" "$vhost" >"$service.url.new"
  mv "$service.url.new" "$service.url"
  printf 's|@%s@|%s|\n' "$service" "$(hash_of "$password")" >>substitutions
done
sed -f substitutions "$template" >definitions.json.new
mv definitions.json.new definitions.json
rm substitutions
