#!/usr/bin/env bash
# Runs in the Debian that build.sh has entered, with paysaga's source in /source: builds the flake's outputs, or those that are named.
set -euo pipefail
mkdir -p /etc/nix
cat >/etc/nix/nix.conf <<'CONF'
experimental-features = nix-command flakes
build-users-group =
sandbox = true
sandbox-fallback = false
# The host's programs, of which host-packages/ makes packages.
sandbox-paths = /bin /lib /lib64 /usr /etc/alternatives /rust /crates /tools
substituters =
max-jobs = 2
cores = 2
warn-dirty = false
CONF
cd /source
nixpkgs=(--override-input nixpkgs 'path:/source?dir=nix/tests/host-packages' --no-write-lock-file --offline)
"$@" "${nixpkgs[@]}"
