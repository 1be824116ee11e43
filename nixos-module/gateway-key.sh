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

[[ -s api-key ]] || head -c 32 /dev/urandom | basenc --base16 --wrap=0 | tr A-F a-f | keep api-key
key=$(<api-key)
printf '%s:%s\n' "$caller" "$(printf %s "$key" | sha256sum | cut -c-64)" | keep api-keys
printf 'authorization: Bearer %s\n' "$key" | keep authorization
