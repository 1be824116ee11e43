#!/usr/bin/env bash
# grafana-secrets.sh NAME…: makes each secret, once. Runs with its state directory as working directory; what it writes is
# readable by its own user only.
set -euo pipefail
umask 077
for name; do
  [[ ! -e $name ]] || continue
  head -c 32 /dev/urandom | basenc --base16 --wrap=0 >"$name.new"
  mv "$name.new" "$name"
done
