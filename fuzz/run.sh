#!/usr/bin/env bash
# run.sh SECONDS          each target for so long, from the inputs in corpus/; what it finds that is new is not kept
# run.sh SECONDS --keep   the same, and adds to corpus/ the smallest inputs that reach what none there does
#
# An input that breaks a promise is in artifacts/; `cargo fuzz run TARGET fuzz/artifacts/TARGET/…` shows it once more.
# Without a sanitizer: what is tried has no unsafe code of ours, and so the stable compiler does. Needs cargo-fuzz.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:?usage: run.sh SECONDS [--keep]}
keep=${2:-}
options=(--sanitizer none --fuzz-dir fuzz)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/fuzz

main() {
  # cargo-fuzz has no --locked, and a lock that does not fit is an error all the same with this.
  cargo metadata --locked --manifest-path fuzz/Cargo.toml --format-version 1 >/dev/null
  cargo fuzz build "${options[@]}"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  local target
  for target in $(cargo fuzz list --fuzz-dir fuzz); do
    fuzz "$target"
  done
}

# fuzz TARGET
fuzz() {
  local corpus=fuzz/corpus/$1 found=$work/$1
  mkdir -p "$found" "$corpus"
  # The corpus is read, and new inputs go to the first folder.
  cargo fuzz run "${options[@]}" "$1" "$found" "$corpus" -- \
    -max_total_time="$seconds" -max_len=2048 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 >"$work/log" 2>&1 || {
    tail -40 "$work/log" >&2
    printf 'fuzz: %s broke a promise; the input is in fuzz/artifacts/%s\n' "$1" "$1" >&2
    exit 1
  }
  printf '%-12s %9d inputs in %s s\n' "$1" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")" "$seconds"
  [[ $keep != --keep ]] || minimise "$1"
}

# minimise TARGET: files that together reach every branch that all of them do; of those at most 60, since what a run begins
# with need not be complete.
minimise() {
  local corpus=fuzz/corpus/$1 merged=$work/merged kept
  rm -rf "$merged"
  mkdir "$merged"
  cargo fuzz run "${options[@]}" "$1" "$merged" "$corpus" "$work/$1" -- -set_cover_merge=1 -use_counters=0 -max_len=2048 >"$work/log" 2>&1
  # Hand-written seeds have names, and stay.
  find "$corpus" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
  mapfile -t kept < <(find "$merged" -type f -printf '%s %p\n' | sort -n | head -60 | cut -d' ' -f2)
  cp --no-clobber "${kept[@]}" "$corpus/"
}

main
