#!/usr/bin/env bash
# Makes an API key, once, and from it what the gateway and the operator read: the key's digest, and the header with the key.
#   $1 the caller's name
# Runs with its state directory as working directory; what it writes is readable by its own user only.
set -euo pipefail
umask 077
caller=$1

# keep FILE: its content is standard input, in one step.
keep() {
  cat >"$1.new"
  mv "$1.new" "$1"
}

sha256() { printf %s "$1" | sha256sum | cut -c-64; }

# Only once: a key that was revoked is not to come back.
[[ ! -e api-keys ]] || exit 0
key=psk_live_$(head -c 32 /dev/urandom | basenc --base16 --wrap=0 | tr A-F a-f)
checksum=$(sha256 "$key")
key+=${checksum:0:8}
scopes=orders:read,orders:write,payments:read,statistics,admin:read,admin:write
printf '%s\n' "$key" | keep api-key
printf 'authorization: Bearer %s\n' "$key" | keep authorization
printf '%s:%s scopes=%s\n' "$caller" "$(sha256 "$key")" $scopes | keep api-keys
