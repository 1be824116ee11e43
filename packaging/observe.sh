#!/usr/bin/env bash
# observe.sh [FOLDER]: Prometheus and Grafana beside the stack that `paysaga up` runs in FOLDER (PAYSAGA_HOME, else .paysaga),
# with the alerts and the dashboards of this repository, until Ctrl-C. `./dev observe` runs this.
#
# Both are private: on 127.0.0.1, on their usual ports (Grafana's is the gateway's, so 3300) or free ones, with what they keep in a
# temporary folder. Prometheus is the one on PATH. Grafana is GRAFANA_BIN, the one on PATH or ~/.cache/paysaga/grafana/bin/grafana; where there is none,
# it is left out. Needs curl and jq.
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
home=${1:-${PAYSAGA_HOME:-.paysaga}}
interval=2s
processes=()

main() {
  for program in prometheus curl jq; do
    command -v "$program" >/dev/null || fail "$program is missing (apt-get install $program)"
  done
  [[ -e $home/stack.json ]] || fail "nothing runs in $home; start it with ./dev up"
  work=$(mktemp -d -t paysaga-observe-XXXXXX)
  trap clean_up EXIT
  jaeger=$(jq --raw-output '.jaeger_url // empty' "$home/stack.json")
  start_prometheus
  start_grafana
  show_addresses
  # Whichever ends first, by itself: then there is nothing to look at.
  wait -n || true
  printf 'observe.sh: a server ended; the last that they said:\n%s\n' "$(tail --quiet --lines=1 "$work"/*.log)" >&2
  return 1
}

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
fail() {
  printf 'observe.sh: %s\n' "$*" >&2
  exit 1
}

clean_up() {
  trap '' INT TERM
  for process in "${processes[@]}"; do kill "$process" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap 'exit 130' INT
trap 'exit 143' TERM

is_free() { ! (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# usual_or_free PORT: sets port to it, or to a free one if something listens there.
usual_or_free() {
  port=$1
  until is_free "$port"; do port=$((20000 + RANDOM % 10000)); done
}

# answers NAME URL: waits until a server does, or fails with what it said.
answers() {
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    ! curl --silent --fail --output /dev/null "$2" || return 0
    kill -0 "${processes[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  fail "$1 does not start: $(tail --lines=3 "$work/${1,,}.log")"
}

# --- Prometheus -----------------------------------------------------------------------------------------------------

# Where a service answers probes and scrapers: it logs that when it starts.
management_address() {
  sed -n 's/.*"management_address":"\([^"]*\)".*/\1/p' "$home/log/$1.log" | tail --lines=1
}

start_prometheus() {
  usual_or_free 9090
  prometheus=http://127.0.0.1:$port
  local service address
  {
    printf 'global: { scrape_interval: %s, evaluation_interval: %s }\n' "$interval" "$interval"
    printf 'rule_files: ["%s"]\nscrape_configs:\n' "$root/packaging/prometheus/alerts.yaml"
    for service in gateway order payment; do
      address=$(management_address "$service")
      [[ -n $address ]] || fail "$home/log/$service.log does not tell where its metrics are"
      printf '  - { job_name: paysaga-%s, static_configs: [{ targets: ["%s"] }] }\n' "$service" "$address"
    done
  } >"$work/prometheus.yml"
  prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" --web.listen-address="${prometheus#http://}" \
    --log.level=warn >"$work/prometheus.log" 2>&1 &
  processes+=($!)
  answers Prometheus "$prometheus/-/ready"
}

# --- Grafana --------------------------------------------------------------------------------------------------------

find_grafana() {
  local program
  for program in "${GRAFANA_BIN:-}" "$(type -P grafana)" "$(type -P grafana-server)" "$HOME/.cache/paysaga/grafana/bin/grafana"; do
    [[ ! -x $program ]] || { realpath "$program" && return; }
  done
  return 1
}

# Its pages and defaults, which are not in the program: beside it in an archive of its makers, in share/ with Nix, in /usr/share in
# their Debian package.
find_grafana_home() {
  local folder prefix
  prefix=$(dirname "$(dirname "$1")")
  for folder in "$prefix" "$prefix/share/grafana" /usr/share/grafana; do
    [[ ! -e $folder/conf/defaults.ini ]] || { printf '%s\n' "$folder" && return; }
  done
  return 1
}

start_grafana() {
  local program pages command=(server)
  grafana=
  if ! program=$(find_grafana) || ! pages=$(find_grafana_home "$program"); then
    say 'SKIPPED: Grafana, which is not on this machine. GRAFANA_BIN names its program; packaging/grafana has the dashboards.'
    return
  fi
  [[ $(basename "$program") != grafana-server ]] || command=()
  usual_or_free 3300
  grafana=http://127.0.0.1:$port
  configure_grafana
  "$program" "${command[@]}" --homepath "$pages" --config "$work/grafana.ini" >"$work/grafana.log" 2>&1 &
  processes+=($!)
  answers Grafana "$grafana/api/health"
}

# It asks for no password, as Prometheus beside it does not; its administrator's is not known to any user.
configure_grafana() {
  (umask 077 && head -c 32 /dev/urandom | base64 >"$work/password" && head -c 32 /dev/urandom | base64 >"$work/secret-key")
  cat >"$work/grafana.ini" <<END
[paths]
data = $work/grafana
provisioning = $work/provisioning
[server]
http_addr = 127.0.0.1
http_port = $port
[security]
admin_password = \$__file{$work/password}
secret_key = \$__file{$work/secret-key}
[auth]
disable_login_form = true
[auth.anonymous]
enabled = true
org_role = Viewer
[analytics]
reporting_enabled = false
check_for_updates = false
[dashboards]
default_home_dashboard_path = $work/dashboards/saga-overview.json
END
  mkdir -p "$work"/{grafana,dashboards} "$work"/provisioning/{datasources,dashboards,plugins,alerting}
  cat >"$work/provisioning/datasources/paysaga.yaml" <<END
apiVersion: 1
datasources:
  - { name: paysaga, uid: paysaga-prometheus, type: prometheus, access: proxy, url: "$prometheus", isDefault: true, jsonData: { timeInterval: $interval } }
END
  cat >"$work/provisioning/dashboards/paysaga.yaml" <<END
apiVersion: 1
providers:
  - { name: paysaga, folder: paysaga, options: { path: "$work/dashboards" } }
END
  local dashboard
  for dashboard in "$root"/packaging/grafana/*.json; do
    sed "s#http://127.0.0.1:16686#${jaeger:-http://127.0.0.1:16686}#" "$dashboard" >"$work/dashboards/$(basename "$dashboard")"
  done
}

show_addresses() {
  printf '\n'
  printf '  %-11s %s\n' Prometheus "$prometheus  (alerts: $prometheus/alerts)"
  [[ -z $grafana ]] || printf '  %-11s %s\n' Grafana "$grafana/dashboards"
  if [[ -n $jaeger ]]; then
    printf '  %-11s %s\n' Jaeger "$jaeger"
  else
    say 'SKIPPED: traces. ./dev jaeger builds Jaeger once; ./dev up then starts it.'
  fi
  printf '\nCtrl-C stops what this started; the stack goes on.\n'
}

main
