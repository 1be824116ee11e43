#!/usr/bin/env bash
# Runs in the Debian that build.sh has entered, with paysaga's source in /source: builds the flake's outputs in Nix's sandbox, runs
# what `nix run` runs, and prints what there is. Or runs a command of nix that is given: built.sh nix build path:/source#order
set -euo pipefail
nixpkgs=(--override-input nixpkgs 'path:/source?dir=nix/tests/host-packages' --no-write-lock-file --offline)
here=path:/source
system=x86_64-linux
log=/var/log/paysaga-nix
roots=/nix/var/nix/gcroots/paysaga

main() {
  local with_tests=yes checks packages
  configure
  case ${1:-} in
    '') ;;
    --without-tests) with_tests= ;;
    *) exec "$@" "${nixpkgs[@]}" ;;
  esac
  check 'every output evaluates' nix flake check --no-build "$here"
  packages=(default gateway order payment paysaga order-image)
  # Kept for the next time: they are most of the work.
  build order.dependencies
  build "checks.$system.clippy.dependencies"
  build "${packages[@]}"
  dependencies_were_reused
  mapfile -t checks < <(quick_checks)
  [[ " ${checks[*]} " == *' module '* ]] || { say 'NOT SO: the flake has checks'; exit 1; }
  build "${checks[@]/#/checks.$system.}"
  if [[ $with_tests ]]; then
    build "checks.$system.tests"
  else
    say 'SKIPPED: the check named tests, as asked for'
  fi
  run_the_app
  report
  nix-collect-garbage --quiet
}

configure() {
  mkdir -p /etc/nix "$roots" "$log"
  cat >/etc/nix/nix.conf <<'END_OF_CONFIGURATION'
experimental-features = nix-command flakes
build-users-group =
sandbox = true
sandbox-fallback = false
# The programs of this Debian, of which host-packages/ makes packages.
sandbox-paths = /bin /lib /lib64 /usr /etc/alternatives /rust /crates /tools
substituters =
max-jobs = 2
cores = 2
END_OF_CONFIGURATION
}

say() { printf 'nix: %s\n' "$*"; }

# check WORDS COMMAND…: prints what the command prints only if it fails.
check() {
  local words=$1
  shift
  "$@" "${nixpkgs[@]}" >"$log/command" 2>&1 || {
    tail -n 200 "$log/command" >&2
    printf 'nix: NOT SO: %s (above)\n' "$words" >&2
    exit 1
  }
  say "$words"
}

# build OUTPUT…: side by side.
build() {
  local output began=$SECONDS
  check "built: $*" nix build --print-build-logs --no-link "${@/#/$here#}"
  say "  in $((SECONDS - began)) s"
  for output; do
    nix build --out-link "$roots/$output" "$here#$output" "${nixpkgs[@]}" 2>>"$log/command"
  done
}

# The flake's checks but that of the tests, one a line.
quick_checks() {
  nix eval --raw "$here#checks.$system" "${nixpkgs[@]}" 2>>"$log/command" \
    --apply 'checks: builtins.concatStringsSep "\n" (builtins.attrNames (removeAttrs checks [ "tests" ])) + "\n"'
}

# log_of OUTPUT: what its build has printed, without colours.
log_of() { nix log "$here#$1" "${nixpkgs[@]}" 2>/dev/null | sed -E 's/\x1b[[(][0-9;]*[A-Za-z]//g'; }

# Else each program has compiled them for itself, and nothing shows it but the time.
dependencies_were_reused() {
  local program compiled
  for program in gateway order payment paysaga; do
    compiled=$(log_of "$program" | grep Compiling) || true
    [[ $compiled == *"Compiling $program "* ]] || { say "NOT SO: $program was compiled"; exit 1; }
    if grep --invert-match '(/build/source/' <<<"$compiled"; then
      say "NOT SO: $program compiled nothing but crates of the workspace (above)"
      exit 1
    fi
  done
  say 'a program compiles the crates of the workspace alone'
}

# From a directory that is not a clone, as `nix run github:…` is.
run_the_app() {
  local data=/tmp/state/paysaga up
  mkdir /tmp/elsewhere
  cd /tmp/elsewhere
  export XDG_STATE_HOME=/tmp/state
  nix run "$here" "${nixpkgs[@]}" >"$log/up" 2>&1 &
  up=$!
  for _ in $(seq 300); do
    ! grep --quiet 'http://127.0.0.1:3000' "$log/up" || break
    kill -0 $up 2>/dev/null || break
    sleep 0.2
  done
  check 'nix run: everything starts, and the demo sees every kind of order end as it should' nix run "$here#demo"
  check 'nix run .#check: the books are in order' nix run "$here#check"
  [[ -d $data && ! -e .paysaga ]] || { say "NOT SO: data is in $data"; exit 1; }
  # As Ctrl-C does.
  pkill --signal INT --exact paysaga
  wait $up || { tail -n 50 "$log/up" >&2; exit 1; }
  say 'nix run: ends on Ctrl-C; its data was in XDG_STATE_HOME'
  cd /source
}

report() {
  local output tests
  say 'outputs, with their sizes and those of their closures'
  nix path-info --closure-size --size --human-readable "${packages[@]/#/$roots/}"
  [[ $with_tests ]] || return 0
  tests=$(log_of "checks.$system.tests")
  say "tests in the sandbox: $(awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 } END { print passed " passed, " failed " failed, " ignored " ignored" }' <<<"$tests")"
  grep SKIPPED <<<"$tests" || true
}

main "$@"
