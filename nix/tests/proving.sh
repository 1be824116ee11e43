# shellcheck shell=bash
# To be sourced by what runs in a machine: how it says what holds. `subject` is its name, `scratch` a folder of its own.
: "${subject:?}" "${scratch:?}"

prove() { printf '%s: %s\n' "$subject" "$*"; }
fail() {
  systemctl --no-pager --plain list-units 'paysaga-*' 'postgres*' 'rabbitmq*' >&2 || true
  journalctl --no-pager --output=short-monotonic --lines=80 -u 'paysaga-*' -u rabbitmq.service >&2 || true
  find "$scratch" -name '*.log' -exec tail -n 20 {} + >&2
  printf '%s: NOT SO: %s\n' "$subject" "$*" >&2
  exit 1
}

# until_true SECONDS WORDS COMMAND…
until_true() {
  local seconds=$1 words=$2 deadline
  shift 2
  deadline=$((SECONDS + seconds))
  until "$@" >"$scratch/last" 2>&1; do
    ((SECONDS < deadline)) || fail "$words (after $seconds s): $(<"$scratch/last")"
    sleep 0.2
  done
}
