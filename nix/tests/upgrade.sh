#!/usr/bin/env bash
# Rehearses an upgrade from an earlier version, and going back, under load: `./dev test` runs this.
#   nix/tests/upgrade.sh FOLDER_OF_PROGRAMS COMMIT FOLDER_OF_ITS_PROGRAMS
# The units are those that the modules of both versions render, for the host `full` of the earlier one's nix/tests/hosts.nix, and for
# `upgrading` and `upgraded` of this one's. What it needs, and what the machine is, is in machine.sh.
set -euo pipefail
programs_of_now=$(realpath "$1")
commit=$2
programs_of_then=$(realpath "$3")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=nix/tests/evaluate.sh
source nix/tests/evaluate.sh
# shellcheck source=nix/tests/machine.sh
source nix/tests/machine.sh

evaluate nix/tests/units.nix >"$work/now.json"
mkdir "$work/then"
git archive "$commit" | tar --extract --directory "$work/then"
# Evaluated without nixpkgs, the programs of both versions have one path.
evaluate "$work/then/nix/tests/units.nix" | sed -E "s#-(gateway|order|payment)-([0-9.]+)/bin#-\1-\2-$commit/bin#g" >"$work/then.json"

set_up_root
generations=$root/generations
install_host "$work/then.json" full "$programs_of_then" "$generations/before"
install_host "$work/now.json" upgrading "$programs_of_now" "$generations/upgrading"
install_host "$work/now.json" upgraded "$programs_of_now" "$generations/upgraded"
cp -a "$generations/before/." "$root/"
cp nix/tests/{proving,switch,clients,upgraded}.sh "$root/opt/"
# API keys as the earlier version has them.
printf 'key-of-operator\n' >"$root/opt/operator.key"
for caller in shop operator; do
  printf 'authorization: Bearer %s\n' "key-of-$caller" >"$root/opt/$caller.authorization"
  printf '%s:%s\n' "$caller" "$(printf 'key-of-%s' "$caller" | sha256sum | cut -c-64)"
done >"$root/etc/paysaga-keys"
boot
inside /opt/upgraded.sh
