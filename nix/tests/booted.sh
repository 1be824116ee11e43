#!/usr/bin/env bash
# Runs in the machine that boot.sh has booted: the saga, and what must be refused.
#   booted.sh with-jaeger|without-jaeger
set -euo pipefail
jaeger=$1
key=/var/lib/paysaga-gateway-key # of the gateway, made when it was started first
api=http://127.0.0.1:3000/api
customer=3f2504e0-4f89-41d3-9a0c-0305e82c3301
accounts=/var/lib/paysaga-rabbitmq
token=/var/lib/paysaga-service-token/token
scratch=$(mktemp -d)
declare -A extra=() # processes that were started besides the units, by port

for program in curl jq nginx psql rabbitmqctl setpriv ss sudo; do
  type -P $program >/dev/null || { echo "boot: $program is missing" >&2; exit 1; }
done

subject=boot
# shellcheck source=nix/tests/proving.sh
source /opt/proving.sh

call() { curl --silent --show-error --max-time 10 --header "@$key/authorization" --header 'content-type: application/json' "$@"; }
# ready PORT: of the service on that port.
ready() { curl --silent --fail --max-time 5 "http://127.0.0.1:$(($1 + 1000))/health/ready"; }
status_is() { [[ $(call "$api/$1" | jq --raw-output .status) == "$2" ]]; }
place() { call --request POST --data "{\"userId\":\"$customer\",\"total\":$1}" "$api/orders" | jq --raw-output .orderId; }
all_ready() {
  local port
  for port in 3000 3001 3002; do until_true 60 "port $port is ready" ready $port; done
}
refused() { ! "$@" >/dev/null 2>"$scratch/refusal"; }
as() { setpriv --reuid="$(id -u "$1")" --regid="$(id -g "$1")" --clear-groups "${@:2}"; }
url_of() { cat "$accounts/$1.url"; }
environment_of() { tr '\0' '\n' <"/proc/$(systemctl show --property=MainPID --value "$1")/environ"; }

# beside PORT SERVICE VARIABLE=VALUE…: starts one more process of a service, without a unit but as the unit's user.
beside() {
  local port=$1 service=$2 own
  shift 2
  if [[ $service == gateway ]]; then
    own=(AUTHENTICATION=off)
  else
    own=("DATABASE_URL=postgres://paysaga-$service@localhost/paysaga-$service?host=/run/postgresql")
  fi
  own+=("SERVICE_TOKEN=$(cat "$token")")
  # Not through `as`: $! must be the process itself, not a subshell.
  setpriv --reuid="$(id -u "paysaga-$service")" --regid="$(id -g "paysaga-$service")" --clear-groups \
    env -i "PORT=$port" "MANAGEMENT_ADDRESS=127.0.0.1:$((port + 1000))" "${own[@]}" "$@" "/opt/$service" >"$scratch/$port.log" 2>&1 &
  extra[$port]=$!
}
end() {
  kill "${extra[$1]}"
  wait "${extra[$1]}" || true
}

a_saga() {
  local order
  order=$(place "$1")
  until_true 30 "order $order is paid" status_is "orders/$order" PAID
  call --request PATCH "$api/orders/$order/cancel" >/dev/null
  until_true 30 "order $order is cancelled" status_is "orders/$order" CANCELLED
  until_true 30 "the payment of $order is refunded" status_is "payments/order/$order" REFUNDED
}

the_units_start() {
  local unit
  all_ready
  for unit in paysaga-gateway-key paysaga-service-token paysaga-rabbitmq-accounts paysaga-databases paysaga-order-migrate paysaga-payment-migrate; do
    [[ $(systemctl show --property=ActiveState,Result --value "$unit" | sort | xargs) == 'active success' ]] || fail "$unit succeeded"
  done
  [[ $(systemctl list-units --failed --plain --no-legend 'paysaga-*' | wc -l) == 0 ]] || fail 'no unit failed'
  prove "the units start, with systemd $(systemctl --version | awk 'NR == 1 { print $2 }'), RabbitMQ $(rabbitmqctl --quiet version) and PostgreSQL $(
    psql --version | awk '{ print $3 }')"
}

percent_signs_in_settings_are_kept() {
  [[ $(environment_of paysaga-order) == *'OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=boot%20test'* ]] ||
    fail 'a setting with % reaches the service unchanged'
  prove 'a setting with % reaches the service unchanged'
}

the_saga_runs() {
  a_saga 999.99
  prove 'an order is paid, cancelled and refunded'
}

only_the_gateway_is_reachable() {
  local port
  [[ $(curl --silent --output /dev/null --write-out '%{http_code}' "$api/orders") == 401 ]] || fail 'without a key the gateway answers 401'
  for port in 3001 3002 5672 5432 4318 15692 16686; do
    [[ -z $(ss --no-header --listening --tcp --numeric "sport = :$port" | awk '$4 !~ /^(127\.|\[::1\])/') ]] ||
      fail "port $port is on loopback alone"
  done
  prove 'the network reaches the gateway alone, which requires a key'
}

only_the_gateway_is_answered() {
  local port
  [[ $(stat --format=%a "$(realpath "$token")") == 600 ]] || fail 'the token is readable by its owner alone'
  for port in 3001/orders 3002/payments; do
    [[ $(curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$port") == 401 ]] || fail "port ${port%/*} answers the gateway alone"
  done
  prove 'order and payment answer the gateway alone, on loopback too'
}

changed_keys_are_followed() {
  local keys copy=/run/paysaga-gateway-keys
  keys=$(realpath "$key/api-keys")
  answers() { [[ $(curl --silent --output /dev/null --write-out '%{http_code}' --header 'authorization: Bearer another' "$api/orders") == "$1" ]]; }
  answers 401 || fail 'an unknown key is refused'
  { cat "$keys" && printf 'another:%s\n' "$(printf another | sha256sum | cut -c-64)"; } >"$keys.new"
  mv "$keys.new" "$keys"
  until_true 10 'a key that was added is accepted' answers 200
  # The last of several changes counts.
  for _ in 1 2 3 4 5; do
    sed -i 's/^another:/other:/' "$keys"
    sed -i 's/^other:/another:/' "$keys"
  done
  sed -i '/^another:/d' "$keys"
  until_true 10 'a key that was revoked is refused' answers 401
  refused as nobody ls "$copy" || fail 'another user is refused the list of keys'
  ! journalctl --boot | grep -i 'ordering cycle' || fail 'the units have no ordering cycle'
  prove 'keys are added and revoked while the gateway runs'
}

passwords_are_protected() {
  local name
  [[ $(stat --format=%a "$(realpath $accounts)") == 700 ]] || fail 'the directory of passwords is open to its owner alone'
  [[ -z $(find "$(realpath $accounts)" -type f -perm /077) ]] || fail 'no file of passwords is open to others'
  refused as nobody ls "$accounts/" || fail 'another user is refused the list of passwords'
  for name in gateway order payment; do
    [[ $(environment_of "paysaga-$name") == *"RABBITMQ_URL_FILE=/run/credentials/paysaga-$name.service/RABBITMQ_URL"* ]] ||
      fail "$name gets its URL as a credential"
    [[ $(environment_of "paysaga-$name") != *"$(cat "$accounts/$name.password")"* ]] || fail "no password is in the environment of $name"
  done
  prove 'only root and its service can read a password'
}

rabbitmq_refuses() {
  local password
  password=$(cat $accounts/order.password)
  rabbitmqctl --quiet authenticate_user paysaga-order -- "$password" >/dev/null || fail 'the right password is accepted'
  refused rabbitmqctl --quiet authenticate_user paysaga-order -- "x$password" || fail 'a wrong password is refused'
  [[ $(rabbitmqctl --quiet list_users) != *guest* ]] || fail 'there is no user guest'
  beside 4005 order "RABBITMQ_URL=$(url_of order | sed -E 's/:[^:@]+@/:wrong@/')" BROKER_TOPOLOGY=verify
  until_true 20 'a wrong password is refused by AMQP, too' grep -qE 'ACCESS_REFUSED|ACCESS-REFUSED|[Ll]ogin was refused' "$scratch/4005.log"
  refused ready 4005 || fail 'order is not ready with a wrong password'
  end 4005
  prove 'a wrong password is refused'

  beside 4005 order "RABBITMQ_URL=$(url_of payment)" BROKER_TOPOLOGY=verify
  until_true 20 "a queue of another is refused" \
    grep -qE "refused.*order\.[a-z-]+\.(queue|dlq)|order\.[a-z-]+\.(queue|dlq).*refused" "$scratch/4005.log"
  refused ready 4005 || fail 'order is not ready without its queues'
  end 4005
  prove 'the queue of another service is refused'

  # The gateway as the user of another service: payment may not write to that exchange, order not under that routing key.
  local user port=4010
  for user in payment order; do
    beside $port gateway "RABBITMQ_URL=$(url_of $user)" BROKER_TOPOLOGY=verify PUBLISH_TIMEOUT=2s
    until_true 20 "the gateway on $port reaches the broker" ready $port
    [[ $(curl --silent --output /dev/null --write-out '%{http_code}' --header 'content-type: application/json' \
      --data "{\"userId\":\"$customer\",\"total\":1.01}" "http://127.0.0.1:$port/api/orders") == 503 ]] ||
      fail "the user of $user can't publish the gateway's events"
    until_true 10 "it is the broker that refuses $user" \
      grep -rE "access to (exchange|topic) .*refused for user 'paysaga-$user'" /var/log/rabbitmq
    end $port
    port=$((port + 1))
  done
  prove 'a service is refused the events of another'
}

postgresql_refuses() {
  refused as paysaga-payment psql --host=/run/postgresql --username=paysaga-payment --dbname=paysaga-order --command='SELECT 1' ||
    fail 'payment is refused the database of order'
  grep -q 'pg_hba.conf' "$scratch/refusal" || fail "pg_hba.conf is the reason, not: $(cat "$scratch/refusal")"
  refused as nobody psql --host=/run/postgresql --username=paysaga-order --dbname=paysaga-order --command='SELECT 1' ||
    fail 'another user is refused the role of order'
  prove 'the database of another service is refused'

  local statement
  for statement in 'CREATE TABLE more (id integer)' 'DROP TABLE orders' 'DELETE FROM orders' 'DELETE FROM failed_message_audit' \
    "UPDATE failed_message_audit SET actor = 'another'"; do
    refused as paysaga-order psql --host=/run/postgresql --username=paysaga-order --dbname=paysaga-order --command="$statement" ||
      fail "order is refused: $statement"
    grep -qE 'permission denied|must be owner' "$scratch/refusal" || fail "privileges are the reason, not: $(cat "$scratch/refusal")"
  done
  prove 'a service can neither change its schema nor rewrite what happened'
}

# The services' own declarations are equivalent to the definitions: RabbitMQ refuses to redeclare with other arguments.
declaring_changes_nothing() {
  rabbitmqctl --quiet add_user administrator secret
  rabbitmqctl --quiet set_permissions -p paysaga administrator '.*' '.*' '.*'
  local service port=4020
  for service in gateway order payment; do
    beside $port $service RABBITMQ_URL=amqp://administrator:secret@127.0.0.1/paysaga BROKER_TOPOLOGY=declare
    port=$((port + 1))
  done
  for port in 4020 4021 4022; do until_true 20 "the definitions are what the service on $port declares" ready $port; done
  for port in 4020 4021 4022; do
    ! grep -q 'other arguments' "$scratch/$port.log" || fail "the definitions are what the service on $port declares"
    end $port
  done
  prove 'the definitions are what the services would declare'
}

# Another virtual host stands for a remote broker, made as docs/DEPLOY.md says.
documented_definitions_suffice() {
  local service port=4030
  /opt/paysaga definitions --vhost elsewhere | rabbitmqctl --quiet import_definitions
  for service in gateway order payment; do
    beside $port "$service" "RABBITMQ_URL=$(url_of "$service" | sed 's|/paysaga$|/elsewhere|')" BROKER_TOPOLOGY=verify \
      ORDER_SERVICE_URL=http://127.0.0.1:4031 PAYMENT_SERVICE_URL=http://127.0.0.1:4032
    port=$((port + 1))
  done
  for port in 4030 4031 4032; do until_true 20 "the definitions suffice for the service on $port" ready $port; done
  for port in 4030 4031 4032; do end $port; done
  prove 'the definitions suffice on a remote broker'
}

the_saga_survives_a_restart_of_the_broker() {
  local before
  before=$(cat $accounts/*.url)
  systemctl restart paysaga-rabbitmq-accounts.service rabbitmq.service
  [[ $(cat $accounts/*.url) == "$before" ]] || fail 'passwords are kept'
  all_ready
  a_saga 25.01
  prove 'the saga survives a restart of the broker'
}

# As docs/DEPLOY.md has it.
passwords_can_be_replaced() {
  local before
  before=$(cat $accounts/order.password)
  rm $accounts/*.password
  systemctl restart paysaga-rabbitmq-accounts
  systemctl restart rabbitmq
  systemctl restart paysaga-gateway paysaga-order paysaga-payment
  all_ready
  refused rabbitmqctl --quiet authenticate_user paysaga-order -- "$before" || fail 'the old password is refused'
  a_saga 30.01
  prove 'passwords can be replaced'
}

the_saga_is_one_trace() {
  if [[ $jaeger == without-jaeger ]]; then
    prove 'SKIPPED: traces. There is no Jaeger here; ./dev jaeger builds it once'
    return
  fi
  until_true 30 'the saga is one trace through all three services' one_trace
  prove 'the saga is one trace through all three services, in Jaeger'
}
# Only orders that were placed: a slow machine asks more often for their status than Jaeger returns traces.
one_trace() {
  curl --silent --fail --max-time 10 --get 'http://127.0.0.1:16686/api/traces?service=gateway&limit=100' --data-urlencode 'operation=POST /api/orders' |
    jq --exit-status 'any(.data[]; [.processes[].serviceName] | unique == ["gateway", "order", "payment"])'
}

metrics_are_exported() {
  local address
  for address in 4000/metrics 4001/metrics 4002/metrics 15692/metrics; do
    [[ $(curl --silent --fail --max-time 10 "http://127.0.0.1:$address") == *'# TYPE '* ]] || fail "there are metrics at $address"
  done
  prove 'metrics are where Prometheus scrapes them'
}

services_have_bounds() {
  local name expected
  for name in gateway order payment; do
    for expected in LimitCORE=0 MemoryMax=1073741824 TasksMax=512; do
      [[ $(systemctl show --property="${expected%=*}" "paysaga-$name") == "$expected" ]] || fail "$name has $expected"
    done
    [[ $(systemctl show --property=IPAddressDeny --value "paysaga-$name") == *::/0* ]] || fail "$name may not talk to any network"
  done
  [[ $(systemctl show --property=IPAddressAllow --value paysaga-order) == *127.0.0.0/8* ]] || fail 'order may talk to this host'
  prove 'a service has bounds, and leaves no core'
}

# A proxy in front of another gateway, as virtualHost has them, and a client with an address of its own.
a_proxy_tells_where_a_client_is() {
  local folder=/run/edge name=shop.example.com client=198.51.100.9 forged=192.0.2.7 here there proxy
  mkdir --mode=755 $folder
  /opt/paysaga pki $folder/pki --host https=$name >/dev/null
  (umask 022 && touch $folder/keys)
  here=$(/opt/paysaga key new here --from $client/32 --file $folder/keys 2>/dev/null)
  there=$(/opt/paysaga key new there --from $forged/32 --file $folder/keys 2>/dev/null)
  ip address add $client/32 dev lo
  beside 4040 gateway "RABBITMQ_URL=$(url_of gateway)" BROKER_TOPOLOGY=verify AUTHENTICATION=on API_KEYS_FILE=$folder/keys "$(cat /opt/behind-a-proxy)"
  until_true 20 'the gateway behind the proxy is ready' ready 4040
  nginx -c /etc/nginx/paysaga.conf 2>"$scratch/nginx.log" &
  proxy=$!
  # status KEY ARGUMENT…: of a request with that key.
  status() {
    curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' --header @- "${@:2}" <<<"authorization: Bearer $1"
  }
  through() { status "$1" --interface $client --cacert $folder/pki/ca.pem --resolve $name:443:127.0.0.1 "${@:3}" "https://$name$2"; }
  until_true 10 'the proxy answers' through "$here" /api/orders
  [[ $(through "$here" /api/orders) == 200 ]] || fail "a client is known by its address: $(cat "$scratch/4040.log")"
  [[ $(status "$there" --header "x-forwarded-for: $forged" http://127.0.0.1:4040/api/orders) == 200 ]] || fail 'the proxy is believed'
  [[ $(through "$there" /api/orders) == 403 && $(through "$there" /api/orders --header "x-forwarded-for: $forged") == 403 ]] ||
    fail "a client can't say that it is elsewhere"
  [[ $(through "$here" /health/ready) == 404 && $(through "$here" /metrics) == 404 ]] || fail 'health and metrics are not offered'
  kill $proxy
  wait $proxy || true
  end 4040
  prove 'behind a proxy, a client has the address that it comes from'
}

the_services_stop_cleanly() {
  local name
  systemctl stop paysaga-gateway paysaga-order paysaga-payment
  for name in gateway order payment; do
    [[ $(systemctl show --property=Result --value "paysaga-$name") == success ]] || fail "$name stops cleanly"
  done
  prove 'the services stop cleanly'
}

# shellcheck source=nix/tests/booted-operator.sh
source /opt/booted-operator.sh
# shellcheck source=nix/tests/booted-backup.sh
source /opt/booted-backup.sh

the_units_start
percent_signs_in_settings_are_kept
the_saga_runs
only_the_gateway_is_reachable
only_the_gateway_is_answered
changed_keys_are_followed
passwords_are_protected
rabbitmq_refuses
postgresql_refuses
declaring_changes_nothing
documented_definitions_suffice
the_saga_survives_a_restart_of_the_broker
passwords_can_be_replaced
the_saga_is_one_trace
metrics_are_exported
services_have_bounds
a_proxy_tells_where_a_client_is
an_operator_is_not_root
others_are_refused_credentials
operators_show_no_secret
a_lost_cluster_is_restored_to_its_last_moment
both_databases_are_restored_to_one_moment
a_lost_slot_is_made_anew
one_database_alone_is_told_by_check
the_services_stop_cleanly
