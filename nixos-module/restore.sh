# shellcheck shell=bash disable=SC2154 # backup.nix sets the variables
# Restores PostgreSQL's cluster, and with it both databases to one moment. What was there is moved aside and not deleted.
#   $1 the moment, such as "2026-11-30 08:00 UTC"; without it, the last one that was saved
set -euo pipefail
export LC_ALL=C PATH=$path PGHOST=/run/postgresql PGPORT=$port
shopt -s nullglob

fail() {
  printf 'paysaga-restore: %s\n' "$*" >&2
  exit 1
}
say() { printf 'paysaga-restore: %s\n' "$*"; }
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
ask() { as_postgres psql --no-psqlrc --quiet --tuples-only --no-align --command="$1" postgres; }

((EUID == 0)) || fail 'this takes root'
(($# <= 1)) || fail 'name one moment, in quotes'
now=$(date --utc +%Y-%m-%dT%H:%M:%SZ)
moment=
if (($# == 1)); then
  moment=$(date --utc --date="$1" +%Y-%m-%dT%H:%M:%S.%6NZ) || fail "$1 is not a moment"
  [[ $moment < $now ]] || fail "$moment is still to come"
fi

# The newest copy that was complete by then. Each restoration sets the copies aside together with their log, which ends there.
copy=
for complete in "$directory"/20*Z "$directory"/before-*/20*Z; do
  history=${complete%/*}
  [[ $history == "$directory" || -n $moment && $moment < ${history##*/before-} ]] || continue
  [[ -z $moment || ${complete##*/} < $moment ]] || continue
  [[ ${complete##*/} < ${copy##*/} ]] || copy=$complete
done
[[ -d $copy ]] || fail "there is no copy in $directory that was complete${moment:+ at $moment}"
log=${copy%/*}/wal

# So that nothing is stopped for a copy that can't be restored.
read -r _ _ version _ < <(psql --version)
[[ $(<"$copy/PG_VERSION") == "${version%%[!0-9]*}" ]] ||
  fail "$copy is of PostgreSQL $(<"$copy/PG_VERSION"), and this is $version; nothing was changed"

# START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
read -r _ _ _ _ _ first <"$copy/backup_label"
first=${first%)}
size=$(stat --format=%s "$copy/pg_wal/$first")
# number_of PART: of a part of the log, whose name is its timeline and its number.
number_of() { printf %d $((16#${1:8:8} * (4294967296 / size) + 16#${1:16:8})); }
last=
for part in "$log"/*; do
  part=$(basename "$part" .partial)
  [[ $part =~ ^[0-9A-F]{24}$ && ! $part < $first ]] || continue
  number=$(number_of "$part")
  # Another timeline begins with the number with which the one before it ends.
  ((number <= ${last:-$(number_of "$first") - 1} + 1)) || fail "in $log, the log before $part is missing; nothing was changed"
  last=$number
done
[[ -n $last ]] || fail "in $log, the log from $first on is missing; nothing was changed"

pg_verifybackup --quiet "$copy" || fail "$copy is damaged; nothing was changed"
say "to ${moment:-the last moment that was saved}, from $copy and the log since"

systemctl stop "${units[@]}" paysaga-backup.timer
# A moment is found by what was committed after it.
ask 'SELECT pg_current_xact_id()' >/dev/null 2>&1 || true
# When it has stopped, it has sent the last of its log.
systemctl stop postgresql.service postgresql.target
while server=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) && kill -0 "$server" 2>/dev/null; do sleep 0.2; done
systemctl stop paysaga-backup-wal.service
aside=$data.before-$now
[[ ! -e $data ]] || mv "$data" "$aside"
install --directory --owner=postgres --group=postgres --mode=0700 "$data"
as_postgres cp --archive "$copy/." "$data/"
{
  # %f is the name of a part of the log; that which is not complete has another.
  printf "restore_command = '%s %s/%%f \"%%p\" || %s %s/%%f.partial \"%%p\"'\n" "$cp" "$log" "$cp" "$log"
  printf "recovery_target_action = 'promote'\n"
  if [[ -n $moment ]]; then printf "recovery_target_time = '%s'\n" "${moment/%Z/+00}"; fi
} | as_postgres tee --append "$data/postgresql.auto.conf" >/dev/null
as_postgres touch "$data/recovery.signal"

not_restored() { fail "PostgreSQL does not come to that moment (journalctl --unit=postgresql); what was there is in $aside"; }
systemctl start postgresql.target || not_restored
until [[ $(ask 'SELECT pg_is_in_recovery()' 2>/dev/null) == f ]]; do
  systemctl --quiet is-active postgresql.target || not_restored
  sleep 1
done
for setting in restore_command recovery_target_action recovery_target_time; do ask "ALTER SYSTEM RESET $setting"; done

# What follows is another history, and begins with a copy of its own. The copies of this one are worth nothing without its log.
before=$directory/before-$now
install --directory --owner=postgres --group=postgres --mode=0700 "$before"
mv "$directory"/20*Z "$wal" "$before/"
install --directory --owner=postgres --group=postgres --mode=0700 "$wal"
systemctl start paysaga-backup-wal.service paysaga-backup.service paysaga-backup.timer
say "done; what was there is in $aside, its copies and its log in $before"
[[ -z $moment ]] || say 'empty the queues of RabbitMQ, whose messages are of the time that was undone (docs/OPERATIONS.md, "Restoring")'
say "before the services go on, run paysaga check (which services.paysaga.operator.enable installs), then: systemctl start ${units[*]}"
