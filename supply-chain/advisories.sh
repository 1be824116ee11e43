#!/usr/bin/env bash
# advisories.sh            checks the dependencies against the RustSec advisory database, as it was at the commit that
#                          advisories.pin names: what passed once passes again, on every machine
# advisories.sh --update   pins the newest commit, and checks against that
#
# The commit is cloned once into ~/.cache/paysaga/advisory-db; after that the check needs no network, save that it asks the
# registry which versions were yanked. ADVISORY_DB_REPOSITORY is another place to clone from, such as a mirror.
# Needs git and cargo-deny, whose settings are in deny.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

repository=${ADVISORY_DB_REPOSITORY:-https://github.com/rustsec/advisory-db}
database=$HOME/.cache/paysaga/advisory-db
pin=supply-chain/advisories.pin

main() {
  case ${1:-} in
    '') ;;
    --update) update ;;
    *) fail "there is no option $1; --update pins the newest commit" ;;
  esac
  read -r commit date < <(grep -v '^#' "$pin")
  [[ $commit =~ ^[0-9a-f]{40}$ ]] || fail "$pin must hold a commit and its date"
  if ! have "$commit" && ! fetch "$commit"; then
    printf '\033[1mSKIPPED: advisories about dependencies.\033[0m %s can not be reached, and is not in %s. ADVISORY_DB_REPOSITORY can name a mirror.\n' \
      "$repository" "$database" >&2
    return
  fi
  check
  local age=$((($(date +%s) - $(date --date="$date" +%s)) / 86400))
  if ((age > 30)); then
    printf 'The pinned advisories are %d days old. ./dev advisories --update pins today'"'"'s.\n' "$age" >&2
  fi
}

fail() {
  printf 'advisories.sh: %s\n' "$*" >&2
  exit 1
}

in_database() { git -C "$database" "$@"; }

have() { [[ -d $database ]] && in_database cat-file -e "$1^{commit}" 2>/dev/null; }

# Not without end: where the network swallows packets, git would wait for minutes.
fetch_from() { GIT_TERMINAL_PROMPT=0 timeout 120 git -C "$database" fetch --quiet "$@"; }

# fetch COMMIT|HEAD: one commit, without its history. A server that gives none by its name gives it with its branch.
fetch() {
  [[ -d $database ]] || git init --quiet --initial-branch=main "$database"
  fetch_from --depth=1 "$repository" "$1" 2>/dev/null ||
    { fetch_from "$repository" HEAD && { [[ $1 == HEAD ]] || have "$1"; }; }
}

update() {
  fetch HEAD || fail "$repository can not be reached; ADVISORY_DB_REPOSITORY can name a mirror"
  local pinned
  pinned=$(in_database log -1 --format='%H %cs' FETCH_HEAD)
  { grep '^#' "$pin" && printf '%s\n' "$pinned"; } >"$pin.new"
  mv "$pin.new" "$pin"
  printf 'Pinned %s\n' "$pinned" >&2
}

# cargo-deny fetches the branch main of a database by its URL; git is told that ours is at that URL, and main at that commit.
check() {
  local work url=https://github.com/rustsec/advisory-db
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # it is expanded now: the function's variable is gone then
  trap "rm -rf '$work'" EXIT
  in_database update-ref refs/heads/main "$commit"
  in_database symbolic-ref HEAD refs/heads/main
  sed "s#^\[advisories\]#&\ndb-path = \"$work/databases\"\ndb-urls = [\"$url\"]#" deny.toml >"$work/deny.toml"
  grep -q '^db-urls' "$work/deny.toml" || fail 'deny.toml has no section [advisories]'
  GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$database.insteadOf" GIT_CONFIG_VALUE_0=$url \
    cargo deny --locked --log-level error --config "$work/deny.toml" check advisories
  printf 'Advisories as of %s: nothing is known about the dependencies that deny.toml does not name.\n' "$date" >&2
}

main "$@"
