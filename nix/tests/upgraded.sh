#!/usr/bin/env bash
# Runs in the machine of upgrade.sh, which has booted with the units of the earlier version: clients place orders without a pause,
# while the machine is switched to this version, back, and again to this one, as docs/DEPLOY.md says ("Upgrading, and going back").
# Then the books are judged.
set -euo pipefail
# shellcheck source=nix/tests/clients.sh
source /opt/clients.sh
clients=6
runs=before # which generation

subject=upgrade scratch=$books
# shellcheck source=nix/tests/proving.sh
source /opt/proving.sh

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
# query SERVICE STATEMENT
query() { as_postgres psql --no-psqlrc --quiet --no-align --tuples-only --field-separator=' ' --dbname="paysaga-$1" --command="$2"; }

# --- the operator ---

# docs/OPERATIONS.md, "From earlier versions".
make_keys() {
  mkdir /etc/paysaga
  sed '/^operator:/s/$/ scopes=orders:read,orders:write,payments:read,statistics,admin:read,admin:write/' /etc/paysaga-keys >/etc/paysaga/api-keys
  chmod 600 /etc/paysaga-keys /etc/paysaga/api-keys
}

ready() {
  local port first=4000
  [[ $runs != before ]] || first=3000
  for port in $first $((first + 1)) $((first + 2)); do
    curl --silent --fail --max-time 5 "http://127.0.0.1:$port/health/ready" || return 1
  done
}

orders_come_in() {
  local before
  before=$(count accepted)
  more() { (($(count accepted) >= before + $1)); }
  until_true 60 'orders are accepted' more "$1"
}

# Messages of one version wait in each queue, for the other.
messages_wait() {
  systemctl stop paysaga-payment
  orders_come_in 20
  systemctl stop paysaga-order
  # Without keys, for which the gateway needs the order service.
  orders_come_in 10
}

# switch_to GENERATION
switch_to() {
  local from=$runs began=$EPOCHREALTIME
  runs=$1
  /opt/switch.sh "$from" "$runs" >"$books/stopped" 2>"$books/errors" || fail "the switch to $runs: $(<"$books/errors")"
  until_true 120 "$runs is ready" ready
  orders_come_in 1
  [[ -z $(systemctl list-units --failed --plain --no-legend 'paysaga-*') ]] || fail "no unit fails when $runs is switched to"
  report "$from" "$began"
}

# What the clients noticed of it: the longest time in which none of their orders was accepted, and the other answers.
report() {
  local longest refusals
  longest=$(all accepted | awk -v began="$2" '$1 > began - 1 { print $1 }' | sort -n |
    awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%.1f", most }')
  refusals=$(all refusals | awk -v began="$2" '$1 > began { print $2 }' | sort | uniq -c | awk '{ print $2 " x " $1 }' | paste -sd ,)
  prove "from $1 to $runs in $(awk -v from="$2" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.0f", to - from }') s:" \
    "$(grep -c . "$books/stopped") units stopped, no order accepted for $longest s, answered meanwhile: $refusals"
}

# docs/SECURITY.md, "Whose an order is".
give_orders() {
  local given=0
  query order "UPDATE orders SET owner = 'shop' WHERE owner = 'anonymous' AND status = 'PENDING_PAYMENT'"
  give() { # SERVICE TABLE KEY
    local some=1
    while ((some > 0)); do
      some=$(query "$1" "UPDATE $2 SET owner = 'shop' WHERE ($3) IN (SELECT $3 FROM $2 WHERE owner = 'anonymous' LIMIT 2000) RETURNING 1" | wc -l)
      given=$((given + some))
    done
  }
  give order orders id
  give payment payments id
  give order order_events 'order_id, event_id'
  prove "$given rows of orders, payments and timelines are given to the client"
}

queues_are_empty() { [[ $(rabbitmqctl --quiet list_queues --vhost paysaga messages --no-table-headers | awk '{ sum += $1 } END { print sum + 0 }') == 0 ]]; }

# --- what an operator and a client may rely on ---

# probe KEY STATUS [ORDER]: the answer to an order under that key. Sets placed to the order.
probe() {
  local status user
  user=$(printf 'ffffffff-0000-4000-8000-%012x' "$1")
  status=$(insist probe POST orders --header "idempotency-key: probe-$1" --data "{\"userId\":\"$user\",\"total\":50.01}")
  [[ $status == "$2" ]] || fail "$runs answers $2 to the key probe-$1, not $status: $(<"$books/probe.body")"
  [[ $status == 202 ]] || return 0
  placed=$(jq --raw-output .orderId "$books/probe.body")
  [[ ${3:-$placed} == "$placed" ]] || fail "$runs has the order $3 for the key probe-$1, not $placed"
  [[ ${3:-} ]] || printf '%s %s\n' "$EPOCHREALTIME" "$placed" >>"$books/probe.accepted"
}
sees() { [[ $(ask probe GET "orders/$1") == 200 && $(jq --raw-output .status "$books/probe.body") == "$2" ]]; }

orders_of_before_wait_until_they_are_given() {
  [[ $(ask probe GET "orders/$1") == 404 ]] || fail 'an order of the earlier version is not seen before it is given'
  cancel probe "$1"
  give_orders
  until_true 10 'an order that was given is seen, and its cancellation had no effect' sees "$1" PAID
  cancel probe "$1"
  until_true 30 'an order that was given is cancelled by its client' sees "$1" CANCELLED
  prove 'an order of the earlier version is not seen before it is given to a client; then it is seen, and cancelled'
}

# --- the books ---

keys_that_were_kept_are_accepted() {
  local user total key kept
  kept=$(all kept)
  [[ -n $kept ]] || return 0
  while read -r user total key; do
    place again "$user" "$total" "$key" || fail "the key $key, which the earlier version answered 422, is accepted"
  done <<<"$kept"
  prove "$(wc -l <<<"$kept") keys that the earlier version answered 422 are accepted"
}

# What was cancelled after a switch and before orders were given had no effect, and is cancelled once more.
cancellations_hold() {
  local order again=0
  without_effect() { query order 'SELECT id, status FROM orders' | sort | join - <(all cancelled | sort) | awk '$2 != "CANCELLED" { print $1 }'; }
  for order in $(without_effect); do
    cancel again "$order"
    again=$((again + 1))
  done
  cancelled() { [[ -z $(without_effect) ]]; }
  until_true 30 'every order that was cancelled is' cancelled
  prove "$(count cancelled) orders are cancelled; $again had to be cancelled a second time"
}

check() {
  PAYSAGA_GATEWAY=http://127.0.0.1:3000 PAYSAGA_API_KEY_FILE=/opt/operator.key \
    ORDER_DATABASE_URL='postgres://postgres@localhost/paysaga-order?host=/run/postgresql' \
    PAYMENT_DATABASE_URL='postgres://postgres@localhost/paysaga-payment?host=/run/postgresql' \
    RABBITMQ_URL=$(</var/lib/paysaga-rabbitmq/order.url) \
    as_postgres /opt/paysaga check --settled
}

nothing_is_lost() {
  local service orders lost strange late
  query order 'SELECT id, status, extract(epoch FROM updated_at), total, user_id FROM orders' | sort >"$books/orders"
  orders=$(wc -l <"$books/orders")
  all accepted | awk '{ print $2, $1 }' | sort >"$books/all"
  lost=$(join -v 1 "$books/all" "$books/orders")
  [[ -z $lost ]] || fail "every order that was accepted is there, but for $lost"
  strange=$(join -v 2 "$books/all" "$books/orders" | awk '{ print $5 }' | sort | join -v 1 - <(all uncertain | sort))
  [[ -z $strange ]] || fail "every order that is there was accepted, or may have been, but for those of $strange"
  ! grep -vE '^[^ ]+ (PAID|CANCELLED|FAILED) ' "$books/orders" >&2 || fail 'every order has come to its end'
  [[ -z $(query order 'SELECT user_id FROM orders GROUP BY user_id HAVING count(*) > 1') ]] || fail 'no request placed two orders'
  [[ -z $(query order "SELECT owner FROM orders WHERE owner <> 'shop'") ]] || fail 'every order belongs to the client'
  for service in order payment; do
    [[ -z $(query $service 'SELECT queue, reason FROM failed_messages') ]] || fail "no message failed: $(query $service 'SELECT queue, reason FROM failed_messages LIMIT 5')"
  done
  # Not those whose answer the provider loses for some seconds, and those that were cancelled later.
  late=$(join "$books/all" "$books/orders" | awk '$4 - $2 > 8 && $5 !~ /4$/ && $3 != "CANCELLED"' | wc -l)
  prove "$(wc -l <"$books/all") orders were accepted, $late of them under way during a switch, and of $(count uncertain) it was not known; $orders are there," \
    "and have come to their end: $(cut -d ' ' -f 2 "$books/orders" | sort | uniq -c | xargs)"
}

# Going back gave the databases to them.
services_own_nothing() {
  local service
  for service in order payment; do
    [[ $(query $service "SELECT has_schema_privilege('paysaga-$service', 'public', 'CREATE'), pg_get_userbyid(datdba)
      FROM pg_database WHERE datname = current_database()") == "f paysaga-$service-owner" ]] || fail "$service owns nothing"
  done
  prove 'no service owns its database'
}

make_keys
until_true 60 'the earlier version is ready' ready
for number in $(seq $clients); do client "$number" & done
probe 1 202
first=$placed
until_true 30 'an order is paid' sees "$first" PAID
orders_come_in 50

messages_wait
switch_to upgrading
probe 1 202 "$first"
orders_of_before_wait_until_they_are_given "$first"
probe 2 202
second=$placed
orders_come_in 50

messages_wait
switch_to before
probe 1 202 "$first"
probe 2 422
orders_come_in 50

messages_wait
switch_to upgrading
probe 2 202 "$second"
prove 'a key stands for the same order in both versions; the earlier one refuses those that were used with this one'
give_orders
until_true 60 'the queues are empty once' queues_are_empty

switch_to upgraded
orders_come_in 50
touch "$books/enough"
wait
keys_that_were_kept_are_accepted
cancellations_hold
[[ $(count surprises) == 0 ]] || fail "the clients were answered as they could expect: $(all surprises)"
until_true 60 'paysaga check --settled finds nothing' check
prove 'paysaga check --settled finds nothing'
nothing_is_lost
services_own_nothing
