# shellcheck shell=bash disable=SC2154 # sourced by booted.sh
# Backups of PostgreSQL: what is restored from them, and what `paysaga check` says about it.
data=/var/lib/postgresql/17
backups=/var/backup/paysaga
services=(paysaga-gateway paysaga-order paysaga-payment)

# As root, who needs no group. Both databases are read, so the services need not run.
check() { (cd / && paysaga check --json "$@") >"$scratch/check.json" 2>"$scratch/check.log"; }
books_hold() { check "${@:2}" || fail "$1: $(cat "$scratch/check.json" "$scratch/check.log")"; }
# is_found WORDS: of the one order that the databases differ in, and its money.
is_found() {
  ! check --settled || fail "it is found: $1"
  [[ $(jq --raw-output '.findings | map(.invariant), map(.what) | .[0]' "$scratch/check.json" | xargs) == "pairs-agree $1" ]] ||
    fail "it is found: $1, not $(cat "$scratch/check.json" "$scratch/check.log")"
  [[ $(jq --raw-output '.findings[1:][].invariant' "$scratch/check.json") == books-balance ]] || fail 'the money is found, too'
}
start_services() {
  systemctl start "${services[@]}"
  all_ready
  until_true 30 'everything settles' check --settled
}
a_paid_order() {
  local order
  order=$(place "$1")
  until_true 30 "order $order is paid" status_is "orders/$order" PAID
  printf %s "$order"
}
restored() {
  paysaga-restore "$@" >"$scratch/restore.log" 2>&1 || fail "PostgreSQL is restored: $(cat "$scratch/restore.log"; tail -n 30 /var/log/postgresql/*.log)"
}
dump() { as postgres pg_dump --format=custom "paysaga-$1"; }
restore_dump() { as postgres pg_restore --clean --if-exists --single-transaction --dbname="paysaga-$1"; }

a_lost_cluster_is_restored_to_its_last_moment() {
  local bench last copies
  operator bench --single 1 --orders 400 >"$scratch/bench.log" 2>&1 &
  bench=$!
  systemctl start paysaga-backup.service || fail 'a copy is made under load'
  wait $bench || fail "orders are settled while a copy is made: $(cat "$scratch/bench.log")"
  # Three are made, and two kept.
  systemctl start paysaga-backup.service
  sleep 1
  systemctl start paysaga-backup.service
  copies=("$backups"/20*Z)
  ((${#copies[@]} == 2)) || fail "two copies are kept, not ${copies[*]}"
  refused as nobody ls "$backups" || fail 'another user is refused the copies'
  [[ -z $(find "$backups" -perm /077 -not -type l) ]] || fail 'no file of a copy is open to others'

  last=$(a_paid_order 41.01)
  systemctl kill --signal=KILL 'postgresql@*'
  systemctl stop postgresql.target
  rm -rf "$data"
  restored
  books_hold 'what was restored to its last moment'
  start_services
  status_is "orders/$last" PAID || fail 'the last order is there'
  a_saga 42.01
  prove 'a cluster that was lost is restored to its last moment'
}

both_databases_are_restored_to_one_moment() {
  local first before after early late
  nothing_is_touched_in_vain
  first=$(a_paid_order 43.01)
  early=$(this_moment)
  before=$(a_paid_order 44.01)
  # What is not complete in the log has another name.
  as postgres psql --quiet --command='SELECT pg_switch_wal()' >/dev/null
  late=$(this_moment)
  after=$(a_paid_order 45.01)
  call --request PATCH "$api/orders/$before/cancel" >/dev/null
  until_true 30 'the payment is refunded' status_is "payments/order/$before" REFUNDED

  restored "$late"
  goes_on_from_there
  status_is "orders/$before" PAID || fail 'an order is as it was'
  status_is "payments/order/$before" APPROVED || fail 'its payment is as it was'
  is_gone "$after"
  a_saga 46.01

  # Of the history that was set aside.
  restored "$early"
  goes_on_from_there
  status_is "orders/$first" PAID || fail 'an order is as it was at the earlier moment'
  is_gone "$before"
  # Of the history that goes on, in which nothing was ordered since.
  restored "$(this_moment)"
  goes_on_from_there
  is_gone "$before"
  a_saga 47.01
  prove 'both databases are restored to one moment, and then to an earlier one'
}
# Between two seconds, because copies are named by them.
this_moment() {
  sleep 1
  date --utc '+%Y-%m-%d %H:%M:%S.%6N UTC'
  sleep 1
}
# As docs/OPERATIONS.md has it.
goes_on_from_there() {
  local queue
  for queue in $(rabbitmqctl --quiet list_queues --vhost paysaga name --no-table-headers); do
    rabbitmqctl --quiet purge_queue --vhost paysaga "$queue"
  done
  books_hold 'what was restored'
  start_services
}
is_gone() { [[ $(call --output /dev/null --write-out '%{http_code}' "$api/orders/$1") == 404 ]] || fail 'a later order is gone'; }

# Refused before anything is stopped.
nothing_is_touched_in_vain() {
  local copies newest first unit
  copies=("$backups"/20*Z)
  newest=${copies[-1]}
  refused paysaga-restore 2020-01-01 || fail 'a moment before the first copy is refused'
  grep -q 'no copy' "$scratch/refusal" || fail "the copies are the reason, not: $(cat "$scratch/refusal")"

  mv "$newest/PG_VERSION" "$scratch/"
  printf '9\n' >"$newest/PG_VERSION"
  refused paysaga-restore || fail 'a copy of another PostgreSQL is refused'
  grep -q 'is of PostgreSQL 9' "$scratch/refusal" || fail "its version is the reason, not: $(cat "$scratch/refusal")"
  mv "$scratch/PG_VERSION" "$newest/"

  first=$(sed -n 's/^START WAL .*file \([0-9A-F]*\))$/\1/p' "$newest/backup_label")
  mkdir "$backups/elsewhere"
  mv "$backups/wal/$first"* "$backups/elsewhere/"
  refused paysaga-restore || fail 'a copy without its log is refused'
  grep -q 'is missing' "$scratch/refusal" || fail "the log is the reason, not: $(cat "$scratch/refusal")"
  mv "$backups/elsewhere"/* "$backups/wal/"
  rmdir "$backups/elsewhere"
  for unit in "${services[@]}" postgresql.target paysaga-backup-wal paysaga-backup.timer; do
    systemctl is-active --quiet "$unit" || fail "$unit is stopped in vain"
  done
}

a_lost_slot_is_made_anew() {
  local aside
  systemctl stop paysaga-backup-wal
  as postgres psql --quiet --command="ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'" --command='SELECT pg_reload_conf()' >/dev/null
  for _ in 1 2 3 4; do
    as postgres psql --quiet --command='CREATE TABLE filler ()' --command='DROP TABLE filler' --command='SELECT pg_switch_wal()' --command=CHECKPOINT >/dev/null
  done
  as postgres psql --quiet --command='ALTER SYSTEM RESET max_slot_wal_keep_size' --command='SELECT pg_reload_conf()' >/dev/null
  [[ $(as postgres psql --tuples-only --no-align --command='SELECT wal_status FROM pg_replication_slots') == lost ]] || fail 'the slot is lost'
  # A copy is made, and would have no log.
  systemctl start paysaga-backup-wal paysaga-backup
  until_true 30 'the unit starts again without end' is_restarted
  refused paysaga-restore || fail 'a copy without its log is refused'
  grep -q 'is missing' "$scratch/refusal" || fail "the log is the reason, not: $(cat "$scratch/refusal")"

  # As docs/OPERATIONS.md has it.
  systemctl stop paysaga-backup-wal
  as postgres psql --command "SELECT pg_drop_replication_slot('paysaga_backup')" >/dev/null
  aside=$backups/before-$(date --utc +%Y-%m-%dT%H:%M:%SZ)
  install --directory --owner=postgres --group=postgres --mode=0700 "$aside"
  mv "$backups"/20*Z "$backups/wal" "$aside/"
  install --directory --owner=postgres --group=postgres --mode=0700 "$backups/wal"
  systemctl start paysaga-backup
  # What is set aside is named by the second.
  sleep 1
  restored
  goes_on_from_there
  prove 'a log that was lost is begun anew'
}
is_restarted() { (($(systemctl show --property=NRestarts --value paysaga-backup-wal) > 1)); }

# As docs/OPERATIONS.md has it.
one_database_alone_is_told_by_check() {
  local database order
  systemctl stop "${services[@]}"
  for database in order payment; do dump $database >"$scratch/$database.early"; done
  start_services
  order=$(a_paid_order 46.01)
  systemctl stop "${services[@]}"
  books_hold 'what stands still' --settled
  for database in order payment; do dump $database >"$scratch/$database.late"; done

  restore_dump payment <"$scratch/payment.early"
  is_found 'the order is PAID, its payment none'
  restore_dump payment <"$scratch/payment.late"
  restore_dump order <"$scratch/order.early"
  is_found 'a payment (APPROVED) without an order'
  restore_dump order <"$scratch/order.late"
  books_hold 'what is of one moment again' --settled
  start_services
  status_is "orders/$order" PAID || fail 'the order is as it was'
  prove 'one database of an earlier moment is told by paysaga check'
}
