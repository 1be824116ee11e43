#!/usr/bin/env bash
# compose-secrets.sh [FOLDER]: creates the secrets of compose.yaml, once, in packaging/secrets or FOLDER: passwords, the URLs
# that contain them, RabbitMQ's users, the token of the services, and the gateway's first API key (in api-key; in authorization as the header that curl
# sends; its digest in keys/api-keys).
set -euo pipefail
# A failure inside of $(…) is one, too.
shopt -s inherit_errexit

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
folder=$(realpath --canonicalize-missing "${1:-$here/secrets}")

main() {
  if [[ -e $folder ]]; then
    printf 'compose-secrets.sh: %s is there already; delete it to make new ones\n' "$folder" >&2
    exit 1
  fi
  # Compose mounts the files with their modes, and services run as an unprivileged user: the files are world-readable, in a
  # folder that only its owner can enter.
  umask 022
  rm -rf "$folder.unfinished"
  mkdir -m 700 "$folder.unfinished"
  cd "$folder.unfinished"

  local service password hash users=''
  # The superuser, the role that owns the schema and migrates it, and the role that the service works as.
  local role
  for service in order payment; do
    printf %s "$(random)" >"$service-database-superuser-password"
    for role in "$service" "$service-owner"; do
      password=$(random)
      printf %s "$password" >"$role-database-password"
      printf 'postgres://%s:%s@%s-database:5432/%s' "$role" "$password" "$service" "$service" >"$role-database-url"
    done
  done

  for service in gateway order payment; do
    password=$(random)
    printf 'amqp://paysaga-%s:%s@rabbitmq:5672/paysaga' "$service" "$password" >"$service-rabbitmq-url"
    hash=$(rabbitmq_hash "$password")
    users+="    $(user "paysaga-$service" "$hash"),"$'\n'
  done
  # Topology and permissions as they are, and the users.
  {
    printf '{\n  "users": [\n%s\n  ],\n' "${users%,*}"
    tail -n +2 "$here/rabbitmq-definitions.json"
  } >rabbitmq-definitions.json

  # By which order and payment know the gateway.
  printf %s "$(random 32)" >service-token

  local key checksum
  key=psk_live_$(random 32)
  checksum=$(sha256 "$key")
  key+=${checksum:0:8}
  printf '%s\n' "$key" >api-key
  printf 'authorization: Bearer %s\n' "$key" >authorization
  mkdir keys
  printf 'me:%s scopes=orders:read,orders:write,payments:read,statistics,admin:read,admin:write\n' "$(sha256 "$key")" >keys/api-keys
  mv "$folder.unfinished" "$folder"
  printf 'Secrets are in %s; the API key is in api-key there.\n' "$folder"
}

# random [BYTES]: 192 bits unless told otherwise, in letters that need no encoding in a URL.
random() { head -c "${1:-24}" /dev/urandom | od -An -vtx1 | tr -d ' \n'; }

sha256() { printf %s "$1" | sha256sum | cut -c-64; }

user() {
  printf '{"name": "%s", "password_hash": "%s", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}' "$@"
}

# base64(salt + sha256(salt + password)), https://www.rabbitmq.com/docs/passwords
rabbitmq_hash() {
  local salt sum
  salt=$(random)
  salt=${salt:0:8}
  sum=$({ unhex "$salt" && printf %s "$1"; } | sha256sum)
  unhex "$salt${sum:0:64}" | base64 --wrap=0
}

unhex() { basenc --base16 --decode <<<"${1^^}"; }

main
