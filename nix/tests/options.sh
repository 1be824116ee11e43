#!/usr/bin/env bash
# Writes docs/OPTIONS.md: `./dev options` runs this. Needs nix-instantiate and jq.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=nix/tests/evaluate.sh
source nix/tests/evaluate.sh

evaluate nix/tests/options.nix >"$work/options.json"
jq --raw-output --join-output . "$work/options.json" >docs/OPTIONS.md
