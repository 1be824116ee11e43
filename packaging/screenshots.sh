#!/usr/bin/env bash
# screenshots.sh PAYSAGA: takes the pictures of README.md and docs/CONSOLE.md anew, into docs/pictures, with the programs beside PAYSAGA.
# `./dev screenshots` runs this.
#
# They are of a stack of their own, with Jaeger and Prometheus: an order that is paid and one that is cancelled afterwards, as Jaeger
# shows their traces, and the dashboard of the sagas over some minutes of orders. The dashboard is Grafana's page where there is a Grafana
# (packaging/observe.sh), else its panels as packaging/dashboards.py draws them; the README's caption is to say which. Then something
# breaks: an order whose provider does not answer, and messages that can't be handled, as the console shows them.
#
# Needs chromium and chromedriver, python3, and what observe.sh needs. Takes 5 minutes, and removes everything but the pictures.
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
pictures=$root/docs/pictures
width=1400
minutes=3
limit=300000 # bytes
processes=()
driver=

main() {
  paysaga=$(realpath "${1:?usage: screenshots.sh PAYSAGA}")
  for program in chromium chromedriver curl jq python3; do
    command -v "$program" >/dev/null || fail "$program is missing (on Debian: apt-get install chromium chromium-driver curl jq python3)"
  done
  work=$(mktemp -d -t paysaga-screenshots-XXXXXX)
  trap clean_up EXIT
  # PostgreSQL's account must reach what is below it.
  chmod 755 "$work"
  export PAYSAGA_HOME=$work/stack
  start_stack
  start_observing
  place_orders
  start_browser
  mkdir -p "$pictures"
  # First, while its last minute is one of orders.
  take_dashboard
  take_trace approved trace-paid
  take_trace cancelled-after-paid trace-cancelled
  break_something
  take_console
}

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "screenshots.sh: $*"
  exit 1
}

trap 'exit 130' INT
trap 'exit 143' TERM
clean_up() {
  trap '' INT TERM
  # The browser outlives its driver, but not its session.
  [[ $driver != */session/* ]] || curl --silent --output /dev/null --request DELETE "$driver"
  # The last that was started first: the stack goes when nothing looks at it any more.
  local index
  for ((index = ${#processes[@]} - 1; index >= 0; index--)); do
    kill "${processes[index]}" 2>/dev/null || true
    wait "${processes[index]}" 2>/dev/null || true
  done
  rm -rf "$work"
}

# until_so SECONDS WHAT COMMAND…: waits until the command succeeds.
until_so() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || fail "$what (see below)
$(tail --quiet --lines=3 "$work"/*.log)"
    sleep 0.5
  done
}

# --- What the pictures are of --------------------------------------------------------------------------------------

is_in() { grep --quiet --no-messages --fixed-strings -- "$1" "$2"; }

start_stack() {
  say 'Starting a stack'
  "$paysaga" up --gateway-port 0 --order-port 0 --payment-port 0 >"$work/up.log" 2>&1 &
  processes+=($!)
  until_so 120 'the stack does not start' is_in 'Ctrl-C stops everything' "$work/up.log"
  jaeger=$(jq --raw-output '.jaeger_url // empty' "$PAYSAGA_HOME/stack.json")
  [[ -n $jaeger ]] || fail 'there is no Jaeger; ./dev jaeger builds it'
}

# Sets prometheus, and grafana if there is one.
start_observing() {
  "$root/packaging/observe.sh" "$PAYSAGA_HOME" >"$work/observe.log" 2>&1 &
  processes+=($!)
  until_so 60 'Prometheus does not start' is_in 'Ctrl-C stops' "$work/observe.log"
  prometheus=$(sed -n 's/^  Prometheus *\([^ ]*\).*/\1/p' "$work/observe.log")
  grafana=$(sed -n 's#^  Grafana *\([^ ]*\)/dashboards$#\1#p' "$work/observe.log")
}

place_orders() {
  say "Placing orders for $minutes minutes"
  # What Prometheus has not seen at zero it can't tell the rate of.
  sleep 5
  place_at_a_rate
  "$paysaga" demo --json >"$work/demo.json" 2>"$work/demo.log" || fail "the demonstration: $(tail --lines=3 "$work/demo.log")"
  place_at_a_rate
}

place_at_a_rate() {
  "$paysaga" bench --rate 10 --duration "$((30 * minutes - 30))s" --kinds approved,declined,failed >"$work/bench.log" 2>&1 ||
    fail "the orders: $(tail --lines=3 "$work/bench.log")"
}

# --- The browser, by the WebDriver protocol ------------------------------------------------------------------------

start_browser() {
  local port options=("--headless=new" "--hide-scrollbars" "--force-color-profile=srgb" "--user-data-dir=$work/chromium")
  # Chromium's sandbox refuses root.
  ((EUID != 0)) || options+=("--no-sandbox")
  port=$((20000 + RANDOM % 10000))
  chromedriver --port="$port" >"$work/chromedriver.log" 2>&1 &
  processes+=($!)
  driver=http://127.0.0.1:$port
  until_so 30 'the browser does not start' curl --silent --fail --output /dev/null "$driver/status"
  local capabilities
  capabilities=$(jq --null-input '{capabilities: {alwaysMatch: {"goog:chromeOptions": {args: $ARGS.positional}}}}' --args -- "${options[@]}")
  driver=$driver/session/$(tell session "$capabilities" | jq --raw-output .sessionId)
}

# tell WHAT JSON: one command of the protocol; prints its value.
tell() {
  curl --silent --show-error --header 'content-type: application/json' --data @- "$driver/$1" <<<"$2" |
    jq 'if (.value | type == "object" and has("error")) then error(.value.message) else .value end'
}

open() { tell url "$(jq --null-input --arg url "$1" '{url: $url}')" >/dev/null; }

# run SCRIPT: prints what a script in the page returns.
run() { tell execute/sync "$(jq --null-input --arg script "$1" '{script: $script, args: []}')"; }

devtools() { tell goog/cdp/execute "$(jq --null-input --arg command "$1" --argjson parameters "$2" '{cmd: $command, params: $parameters}')"; }

resize() {
  devtools Emulation.setDeviceMetricsOverride \
    "$(jq --null-input --argjson width "$width" --argjson height "$1" '{$width, $height, deviceScaleFactor: 1, mobile: false}')" >/dev/null
}

# take NAME: what the page shows, as a file.
take() {
  local file=$pictures/$1.png
  devtools Page.captureScreenshot '{"format": "png"}' | jq --raw-output .data | base64 --decode >"$work/$1.png"
  # Smaller by half, with colours that the eye takes for the same.
  if command -v pngquant >/dev/null; then
    pngquant --force --skip-if-larger --output "$work/$1.png" 128 "$work/$1.png" || [[ $? == 98 ]]
  fi
  (($(stat --format=%s "$work/$1.png") < limit)) || fail "$1.png has more than $limit bytes"
  mv "$work/$1.png" "$file"
  say "$file"
}

# --- The pictures ----------------------------------------------------------------------------------------------------

# Spans arrive some seconds after their saga: the trace is whole when no more come.
trace_is_whole() {
  local before=$spans
  sleep 4
  spans=$(curl --silent "$jaeger/api/traces/$1" | jq '.data[0].spans | length')
  ((spans > 1 && spans == before))
}

shows_every_span() { [[ $(run 'return document.querySelectorAll(".span-row").length') == "$spans" ]]; }

# take_trace KIND NAME: Jaeger's page of the trace of an order of the demonstration.
take_trace() {
  local trace spans=0 bottom
  trace=$(jq --raw-output --arg kind "$1" '.orders[] | select(.kind == $kind) | .traceId' "$work/demo.json")
  [[ -n $trace ]] || fail "the demonstration has no order of the kind $1"
  until_so 60 'the trace does not arrive at Jaeger' trace_is_whole "$trace"
  # Tall enough for every span at once; Jaeger draws those alone that can be seen.
  resize 3000
  # How wide the names are, which Jaeger remembers for its address.
  open "$jaeger/search"
  run 'localStorage.setItem("spanNameColumnWidth", "0.45")' >/dev/null
  open "$jaeger/trace/$trace?uiEmbed=v0"
  until_so 30 "Jaeger's page does not show the trace" shows_every_span
  bottom=$(run 'return Math.ceil(Math.max(...[...document.querySelectorAll(".span-row")].map(row => row.getBoundingClientRect().bottom)))')
  resize $((bottom + 8))
  sleep 1
  take "$2"
}

take_dashboard() {
  if [[ -n $grafana ]]; then
    resize 1120
    open "$grafana/d/paysaga-saga?kiosk&from=now-${minutes}m&to=now"
    sleep 15 # its panels load one by one, and nothing in the page tells when all of them have
  else
    say 'The dashboard is drawn without Grafana: the caption in the README is to say so.'
    "$root/packaging/dashboards.py" draw "$prometheus" paysaga-saga "$minutes" >"$work/dashboard.html"
    open "file://$work/dashboard.html"
    resize "$(run 'return document.documentElement.scrollHeight')"
  fi
  take dashboard
}

# --- The console ------------------------------------------------------------------------------------------------------

gateway() { jq --raw-output .gateway_url "$PAYSAGA_HOME/stack.json"; }

# ask PATH [JSON]: asks the gateway as the stack's operator.
ask() {
  local body=()
  [[ -z ${2:-} ]] || body=(--header 'content-type: application/json' --data "$2")
  curl --silent --show-error --header "@$PAYSAGA_HOME/gateway/authorization" "${body[@]}" "$(gateway)$1"
}

# publish COUNT KEY BODY: messages that no consumer can take, from a publisher who is none of the services.
publish() {
  local management password number
  management=$(sed -n 's/^  RabbitMQ *\(http[^ ]*\).*/\1/p' "$work/up.log")
  password=$(<"$PAYSAGA_HOME/rabbitmq/password")
  for ((number = 0; number < $1; number++)); do
    jq --null-input --arg key "$2" --arg body "${3//NUMBER/$number}" \
      '{properties: {delivery_mode: 2}, routing_key: $key, payload: $body, payload_encoding: "string"}' |
      curl --silent --show-error --fail --output /dev/null --config <(printf 'user = "paysaga:%s"' "$password") \
        --header 'content-type: application/json' --data @- "$management/api/exchanges/%2F/${2%%.*}s.exchange/publish"
  done
}

# Messages that fail for three causes, while orders come.
break_something() {
  say 'Breaking something'
  # So that there is something to be seen of now.
  "$paysaga" bench --rate 10 --duration 60s --kinds approved,declined,failed >"$work/bench.log" 2>&1 &
  processes+=($!)
  publish 23 order.created 'not JSON, number NUMBER'
  publish 5 order.cancel.requested '{"order": NUMBER}'
  publish 2 payment.approved 'nor is this'
  until_so 30 'the messages are not stored' are_stored 23
  ask /api/admin/payment/failed-messages/replays '{"reason": "the publisher was mended", "canary": [1, 10]}' |
    jq --raw-output .id >"$work/replay"
  until_so 60 'the replay does not stop' has_stopped "$(<"$work/replay")"
}

are_stored() { (($(ask '/api/admin/payment/failed-messages?limit=1' | jq .meta.total) >= $1)); }
has_stopped() { [[ $(ask "/api/admin/payment/failed-messages/replays/$1" | jq --raw-output .status) == STOPPED ]]; }

take_console() {
  open "$(gateway)/console/sign-in"
  # The key goes by way of a file: command lines can be seen.
  sed 's/^authorization: Bearer //I' "$PAYSAGA_HOME/gateway/authorization" >"$work/key"
  tell execute/sync "$(jq --null-input --rawfile key "$work/key" \
    '{script: "document.getElementById(\"key\").value = arguments[0].trim(); document.querySelector(\"form\").submit()", args: [$key]}')" >/dev/null
  take_page /console console-overview
  # Its answer is lost, and waited for.
  stuck=$(ask /api/orders '{"userId": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "total": 149.04}' | jq --raw-output .orderId)
  take_page "/console/orders/$stuck" console-order
  take_page /console/failed console-failed
  take_page "/console/replays/payment/$(<"$work/replay")" console-replay
}

# take_page PATH NAME: a page of the console, as it is a moment after it was opened.
take_page() {
  resize 900
  open "$(gateway)$1"
  sleep 3 # the next version of its live part
  local height
  height=$(run 'return document.documentElement.scrollHeight')
  resize $((height < 1400 ? height : 1400))
  take "$2"
}

main "$@"
