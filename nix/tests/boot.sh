#!/usr/bin/env bash
# Boots the units that the NixOS module renders, with the real programs, under systemd, with real PostgreSQL and RabbitMQ,
# and runs a saga through them: `./dev test` runs this.
#   nix/tests/boot.sh FOLDER_OF_PROGRAMS
# What it needs besides nginx-light, and what the machine is, is in machine.sh.
set -euo pipefail
programs=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=nix/tests/evaluate.sh
source nix/tests/evaluate.sh
# shellcheck source=nix/tests/machine.sh
source nix/tests/machine.sh

# The proxy of another host, in front of a gateway that booted.sh starts.
install_nginx() {
  jq --raw-output '.behind.nginx.virtualHosts | to_entries[] | "daemon off;
    pid /run/nginx-paysaga.pid;
    error_log stderr;
    events {}
    http {
      access_log off;
      server {
        server_name \(.key);
        listen 443 ssl;
        ssl_certificate /run/edge/pki/https.pem;
        ssl_certificate_key /run/edge/pki/https-key.pem;
        \(.value.locations | to_entries[] | "location \(.key) { proxy_pass \(.value.proxyPass); \(.value.extraConfig) }")
      }
    }"' "$work/units.json" >"$root/etc/nginx/paysaga.conf"
  jq --raw-output '.behind.units["paysaga-gateway.service"]' "$work/units.json" |
    sed -nE 's/^Environment="(TRUSTED_PROXIES=.*)"$/\1/p' >"$root/opt/behind-a-proxy"
}

evaluate nix/tests/units.nix >"$work/units.json"
set_up_root
install_host "$work/units.json" full "$programs" "$root"
install_nginx
cp nix/tests/{proving,booted*}.sh "$root/opt/"
boot
inside /opt/booted.sh "$([[ -e $root/opt/with-jaeger ]] && echo with-jaeger || echo without-jaeger)"
