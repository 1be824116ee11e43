#!/usr/bin/env bash
# What can be checked of the Nix files without nixpkgs and without a build: `./dev check` runs this.
# Needs nix-instantiate, jq and systemd-analyze (Debian: nix-bin, jq, systemd). Removes what it creates.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# As in the sandbox of Nix: without a network, and with neither this machine's /run nor a store that these programs are not from.
if [[ -n ${PAYSAGA_CHECK_ENCLOSED:-} ]]; then
  :
elif ((EUID != 0)) || ! unshare --mount --net true 2>/dev/null; then
  printf 'SKIPPED: a sandbox for these checks, which run in this machine as it is. That needs root.\n'
else
  # shellcheck disable=SC2016 # the other shell is to expand these
  PAYSAGA_CHECK_ENCLOSED=yes exec unshare --mount --net bash -euc '
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir /run/systemd
    if [[ -d /nix && $(realpath "$(type -P nix-instantiate)") != /nix/* ]]; then mount -t tmpfs tmpfs /nix; fi
    exec "$0"' nix/tests/check.sh
fi
# shellcheck source=nix/tests/evaluate.sh
source nix/tests/evaluate.sh

exposure=12 # tenths, of 10

fail() {
  printf 'nix/tests: %s\n' "$*" >&2
  exit 1
}

every_file_parses() {
  local file
  while read -r file; do
    NIX_CONFIG='build-users-group =' nix-instantiate --parse "$file" >/dev/null || fail "$file is not Nix"
    ! grep -nE '^[^#"]*\bwith [a-z.]+;' "$file" || fail "$file uses \`with\`, below which no undefined name is found"
  done < <(git ls-files --cached --others --exclude-standard '*.nix')
}

every_file_is_tidy() {
  tidy nixfmt --check
  tidy deadnix --fail
}

tidy() {
  local files
  mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.nix')
  if PATH=$PATH:$HOME/.cache/paysaga/bin type -P "$1" >/dev/null; then
    PATH=$PATH:$HOME/.cache/paysaga/bin "$@" "${files[@]}" || fail "$1 (above)"
  else
    printf 'SKIPPED: %s (./dev nix builds them once)\n' "$1"
  fi
}

# Each file in cases/ evaluates to sentences, each with whether it holds.
every_case_holds() {
  local file answers
  for file in nix/tests/cases/*.nix; do
    answers=$(evaluate "$file") || fail "$file does not evaluate (above)"
    jq --exit-status 'all(.[]; . == true)' <<<"$answers" >/dev/null || {
      jq --raw-output 'to_entries[] | select(.value != true) | "  not so: \(.key)"' <<<"$answers" >&2
      fail "$file"
    }
    printf '%s: %s hold\n' "$(basename "$file" .nix)" "$(jq length <<<"$answers")"
  done
}

# A change is built by those that it concerns, and by no other: only what is built anew is started anew on a host.
a_change_is_built_where_it_belongs() {
  # Sources are not what a host has in its store.
  local store=$work/sources
  copy=$work/copy
  copy_sources "$copy" ':!docs/flamegraphs'
  evaluate "$copy/nix/tests/derivations.nix" >"$work/before.json" || fail 'the derivations do not evaluate (above)'
  rebuilds services/gateway/src/lib.rs '// a comment' 'clippy default gateway gateway-image tests'
  rebuilds services/order/src/lib.rs '// a comment' 'clippy default order order-image tests'
  rebuilds migrations/payment/grants.sql '-- a comment' 'clippy default payment payment-image tests'
  rebuilds services/local-stack/src/lib.rs '// a comment' 'clippy default paysaga paysaga-image tests'
  local every='clippy default gateway gateway-image order order-image payment payment-image paysaga paysaga-image tests'
  rebuilds services/chassis/src/lib.rs '// a comment' "$every"
  rebuilds contracts/src/lib.rs '// a comment' "$every"
  rebuilds tests/src/lib.rs '// a comment' 'clippy tests'
  rebuilds README.md 'A sentence.' 'clippy tests'
  rebuilds nix/image.nix '# a comment' ''
  rebuilds nixos-module/hardening.nix '# a comment' ''
  rebuilds Cargo.lock '# a comment' "clippy default dependencies dependencies-native ${every#clippy default }"
  printf 'derivations: a change is built where it belongs (11 changes)\n'
}

# rebuilds FILE LINE OUTPUTS: a line more in the file changes these outputs.
rebuilds() {
  local file=$copy/$1 changed
  cp --preserve "$file" "$work/original"
  printf '%s\n' "$2" >>"$file"
  evaluate "$copy/nix/tests/derivations.nix" >"$work/after.json" || fail 'the derivations do not evaluate (above)'
  cp --preserve "$work/original" "$file"
  changed=$(jq --raw-output --slurp '.[0] as $before | .[1] | [to_entries[] | select(.value != $before[.key]) | .key] | join(" ")' \
    "$work/before.json" "$work/after.json")
  [[ $changed == "$3" ]] || fail "a change of $1 builds anew: $changed. It should be: $3"
}

# systemd-analyze finds no mistake in the units, and an exposure below the limit.
systemd_accepts_the_units() {
  local host unit folder verdict worst=0 tenths
  evaluate nix/tests/units.nix >"$work/units.json" || fail 'the units do not evaluate (above)'
  for host in $(jq --raw-output 'keys[]' "$work/units.json"); do
    folder=$work/$host
    mkdir "$folder"
    install_units "$work/units.json" "$host" "$folder"
    # The programs are not built here.
    sed -i -E 's#^(Exec[A-Za-z]*=)/[^ ]*#\1/bin/true#' "$folder"/*.service
    # What comes from NixOS itself.
    printf '[Unit]\nDescription=stand-in\n' >"$folder/postgresql.target"
    [[ -e $folder/rabbitmq.service ]] || printf '[Service]\n' >"$folder/rabbitmq.service"
    for unit in rabbitmq grafana; do
      [[ ! -e $folder/$unit.service ]] || printf '[Service]\nType=oneshot\nExecStart=/bin/true\n' >>"$folder/$unit.service"
    done
    # shellcheck disable=SC2046 # the names of units have no spaces
    verdict=$(SYSTEMD_UNIT_PATH=$folder: SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=warning \
      systemd-analyze verify --man=no --recursive-errors=no $(find "$folder" -name "*.service" -or -name "*.path" -or -name "*.timer") 2>&1) || true
    [[ -z $verdict ]] || fail "systemd-analyze verify, host $host: $verdict"
    for unit in "$folder"/paysaga-*.service; do
      verdict=$(systemd-analyze security --no-pager --offline=true --threshold=$exposure "$unit" | tail --lines=1) ||
        fail "$host: $verdict"
      tenths=$(sed -E 's/.*: ([0-9]+)\.([0-9]).*/\1\2/' <<<"$verdict")
      ((10#$tenths <= worst)) || worst=$((10#$tenths))
    done
  done
  printf 'units: accepted by systemd; the highest exposure is %s.%s\n' $((worst / 10)) $((worst % 10))
}

# No file of the world-readable store, and no unit, contains a password.
nothing_in_the_store_is_secret() {
  local found
  found=$(grep --recursive --extended-regexp --line-number \
    '(amqps?|postgres(ql)?)://[^/@ ]+:[^/@ ]+@|"password_hash":"[^@]' "$store/nix/store" "$work/units.json" |
    grep --invert-match --fixed-strings 'amqp://paysaga-%s:%s@%s/%s' |
    grep --invert-match --fixed-strings -- '-documented.nix') || return 0
  fail "there is a secret in the store: $(head -n 5 <<<"$found")"
}

# The machine tests can't be run here, but its script is parsed, and every name in it is defined.
the_machine_test_parses() {
  if ! type -P python3 >/dev/null; then
    printf 'SKIPPED: the script of the machine test (apt-get install python3)\n'
    return
  fi
  evaluate nix/tests/machine-script.nix | jq --raw-output . >"$work/machine.py"
  python3 - "$work/machine.py" <<'END' || fail 'the script of the machine test (above)'
import ast, builtins, sys

tree = ast.parse(open(sys.argv[1]).read())
known = {"client", "server", "start_all", "subtest"} | set(dir(builtins))
for node in ast.walk(tree):
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        known |= {alias.name for alias in node.names}
    if isinstance(node, ast.FunctionDef):
        known |= {node.name} | {argument.arg for argument in node.args.args}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        known.add(node.id)
unknown = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - known
sys.exit(f"not defined: {unknown}" if unknown else 0)
END
}

every_file_parses
every_file_is_tidy
every_case_holds
a_change_is_built_where_it_belongs
the_machine_test_parses
systemd_accepts_the_units
nothing_in_the_store_is_secret
