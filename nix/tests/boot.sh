#!/usr/bin/env bash
# Boots the units that the NixOS module renders, with the real programs, under systemd, with real PostgreSQL and RabbitMQ,
# and runs a saga through them: `./dev test` runs this.
#   nix/tests/boot.sh FOLDER_OF_PROGRAMS
# The machine is this one's own root below an overlay, in namespaces of its own: nothing is written to this one, and no
# port of it is used. PAYSAGA_MACHINE names another root, such as that of a newer Debian.
# Needs root; Debian's nix-bin, jq, systemd, dbus, libnss-systemd, postgresql, rabbitmq-server, curl, iproute2,
# sudo, nginx-light.
set -euo pipefail
programs=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=nix/tests/evaluate.sh
source nix/tests/evaluate.sh

host=full
base=${PAYSAGA_MACHINE:-/}
jaeger=$(type -P jaeger || echo "$HOME/.cache/paysaga/jaeger")
machine=

main() {
  evaluate nix/tests/units.nix >"$work/units.json"
  # The mounts are below the directory of evaluate.sh, so they are taken down before it is removed.
  trap 'take_down; chmod -R u+w "$work"; rm -rf "$work"' EXIT
  set_up_root
  install_store
  install_commands
  install_postgresql
  install_rabbitmq
  install_nginx
  install_paysaga
  boot
  inside /opt/booted.sh "$([[ -e $root/opt/with-jaeger ]] && echo with-jaeger || echo without-jaeger)"
}

# --- a root of its own ---

set_up_root() {
  mkdir "$work/machine"
  mount -t tmpfs tmpfs "$work/machine"
  mkdir "$work/machine"/{upper,work,root}
  root=$work/machine/root
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/machine/upper,workdir=$work/machine/work" "$root"
  units=$root/etc/systemd/system
  # No unit that this machine starts.
  find "$units" -path '*.wants/*' -delete
  mkdir -p "$units/multi-user.target.wants" "$root/opt"
  printf '127.0.0.1 localhost paysaga\n' >"$root/etc/hosts"
  printf 'paysaga\n' >"$root/etc/hostname"
}

enable() {
  ln -s "../$1" "$units/multi-user.target.wants/$1"
}

# The files that the units name, and the programs where the units expect them.
install_store() {
  local line program
  mkdir -p "$root/nix/store"
  cp -r "$store/nix/store/." "$root/nix/store/"
  while read -r line; do
    program=${line##*/}
    mkdir -p "$root${line%/*}"
    case $program in
      jaeger)
        [[ -x $jaeger ]] || continue
        cp "$jaeger" "$root$line"
        touch "$root/opt/with-jaeger"
        ;;
      *) cp "$programs/$program" "$root$line" ;;
    esac
    # For processes that booted.sh starts besides the units.
    [[ $program == jaeger ]] || ln -sf "$line" "$root/opt/$program"
  done < <(jq --raw-output --arg host $host '.[$host] | .units[], "ExecStart=\(.programs[])"' "$work/units.json" |
    sed -nE 's#^ExecStart=(/nix/store/[^ ]+).*#\1#p' | sort -u)
  cp nix/tests/booted*.sh "$root/opt/"
}

# What NixOS would make of environment.systemPackages, users.groups, security.sudo and systemd.tmpfiles.
install_commands() {
  local name script
  # The stand-in can't make a file executable.
  grep --recursive --files-with-matches '^#!/bin/bash$' "$root/nix/store" | xargs chmod 755
  while read -r name script; do
    ln -s "$script" "$root/usr/bin/$name"
  done < <(jq --raw-output --arg host $host '.[$host].commands[] | "\(.name) \(.script)"' "$work/units.json")
  jq --raw-output --arg host $host '.[$host].groups | keys[]' "$work/units.json" |
    xargs --max-args=1 groupadd --root "$root" --system
  jq --raw-output --arg host $host '.[$host].tmpfiles.rules[]' "$work/units.json" >"$root/etc/tmpfiles.d/paysaga.conf"
  jq --raw-output --arg host $host '.[$host].sudo.extraRules[] |
    "%\(.groups[]) ALL=(\(.runAs)) \(.commands[] | "\(.options[]): \(.command)")"' "$work/units.json" >"$root/etc/sudoers.d/paysaga"
}

# --- what NixOS would make of services.postgresql and services.rabbitmq ---

install_postgresql() {
  local generation
  generation=$(find "$root/usr/lib/postgresql" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | tail -n 1)
  rm -rf "$root/var/lib/postgresql/$generation" "$root/etc/postgresql/$generation"
  {
    printf '#!/bin/bash\nset -e\n'
    jq --raw-output --arg host $host '.[$host].postgresql |
      (.ensureUsers[] | "psql -tAc \"SELECT 1 FROM pg_roles WHERE rolname = '\''\(.name)'\''\" | grep -q . || createuser \"\(.name)\""),
      (.ensureDatabases[] | "psql -tAc \"SELECT 1 FROM pg_database WHERE datname = '\''\(.)'\''\" | grep -q . || createdb \"\(.)\"")' "$work/units.json"
  } >"$root/opt/postgresql-setup"
  jq --raw-output --arg host $host '.[$host].postgresql.authentication' "$work/units.json" >"$root/opt/pg_hba.conf"
  jq --raw-output --arg host $host '.[$host].postgresql.settings | to_entries[] | "\(.key) = '\''\(.value)'\''"' \
    "$work/units.json" >"$root/opt/settings.conf"
  {
    printf '#!/bin/bash\nset -e\npg_createcluster --datadir=%s %s main\n' \
      "$(jq --raw-output --arg host $host '.[$host].postgresql.dataDir' "$work/units.json")" "$generation"
    # NixOS puts these lines above its own.
    # shellcheck disable=SC2016 # expanded where it runs
    printf 'f=/etc/postgresql/%s/main/pg_hba.conf\ncat /opt/pg_hba.conf $f >$f.new\ncat $f.new >$f\n' "$generation"
    printf 'cp /opt/settings.conf /etc/postgresql/%s/main/conf.d/\n' "$generation"
  } >"$root/opt/postgresql-create"
  chmod 755 "$root"/opt/postgresql-*
  cat >"$units/postgresql-create.service" <<END
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/opt/postgresql-create
END
  cat >"$units/postgresql-setup.service" <<END
[Unit]
Requires=postgresql@$generation-main.service
After=postgresql@$generation-main.service
[Service]
Type=oneshot
RemainAfterExit=yes
User=postgres
ExecStart=/opt/postgresql-setup
END
  cat >"$units/postgresql.target" <<END
[Unit]
Requires=postgresql@$generation-main.service postgresql-setup.service
After=postgresql@$generation-main.service postgresql-setup.service
END
  ln -s "../lib/postgresql/$generation/bin/pg_verifybackup" "$root/usr/bin/"
  mkdir -p "$units/postgresql@$generation-main.service.d"
  # NixOS's unit, too, is part of the target.
  printf '[Unit]\nRequires=postgresql-create.service\nAfter=postgresql-create.service\nPartOf=postgresql.target\n' \
    >"$units/postgresql@$generation-main.service.d/create.conf"
}

install_rabbitmq() {
  rm -rf "$root"/var/lib/rabbitmq/{mnesia,.erlang.cookie}
  # NixOS's module adds the listener.
  jq --raw-output --arg host $host '.[$host].rabbitmq | {"listeners.tcp.1": "127.0.0.1:\(.port)"} + .configItems |
    to_entries[] | "\(.key) = \(.value)"' "$work/units.json" >"$root/etc/rabbitmq/rabbitmq.conf"
  jq --raw-output --arg host $host '"[" + (.[$host].rabbitmq.plugins | join(",")) + "]."' "$work/units.json" >"$root/etc/rabbitmq/enabled_plugins"
  # A unit of its own under NixOS's name, not an alias: credentials are named after the unit.
  sed '/^Alias=/d' "$root/lib/systemd/system/rabbitmq-server.service" >"$units/rabbitmq.service"
  mkdir "$units/rabbitmq.service.d"
  jq --raw-output --arg host $host '.[$host].units["rabbitmq.service"]' "$work/units.json" >"$units/rabbitmq.service.d/paysaga.conf"
  enable rabbitmq.service
}

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

# --- ours ---

install_paysaga() {
  local folder=$work/paysaga unit
  mkdir "$folder"
  install_units "$work/units.json" $host "$folder"
  for unit in "$folder"/paysaga-*.{service,path,timer}; do
    unit=$(basename "$unit")
    [[ $unit != paysaga-jaeger.service || -e $root/opt/with-jaeger ]] || continue
    cp "$folder/$unit" "$units/"
    # The others are started as dependencies of these.
    ! grep -q '^WantedBy=multi-user.target$' "$units/$unit" || enable "$unit"
  done
}

# --- up and down ---

boot() {
  cgroup=/sys/fs/cgroup/unified
  [[ -d $cgroup ]] || cgroup=/sys/fs/cgroup
  cgroup=$cgroup/paysaga-boot.$$
  mkdir "$cgroup"
  (
    echo $BASHPID >"$cgroup/cgroup.procs"
    exec unshare --mount --propagation private --pid --uts --ipc --net --cgroup --fork --kill-child \
      bash -ec "$(declare -f become_machine); become_machine \"\$1\"" machine "$root"
  ) </dev/null >"$work/console" 2>&1 &
  machine=$!
  init=
  for _ in $(seq 100); do
    init=$(pgrep --parent $machine | head -n 1 || true)
    [[ -z $init ]] || break
    sleep 0.1
  done
  for _ in $(seq 300); do
    if inside systemctl is-active --quiet multi-user.target 2>/dev/null; then return; fi
    kill -0 $machine 2>/dev/null || break
    sleep 0.2
  done
  cat "$work/console" >&2
  inside journalctl --no-pager --output=cat --lines=60 >&2 || true
  printf 'the machine does not boot (above)\n' >&2
  return 1
}

# Run in fresh namespaces. Makes $1 the root, with a /dev of its own, and becomes systemd.
become_machine() {
  local device name major minor
  mount --bind "$1" "$1"
  cd "$1"
  mount -t proc proc proc
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755,nosuid tmpfs dev
  for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$device"
    mknod -m 666 "dev/$name" c "$major" "$minor"
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  ln -s /proc/self/fd dev/fd
  ln -s fd/0 dev/stdin
  ln -s fd/1 dev/stdout
  ln -s fd/2 dev/stderr
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  hostname paysaga
  ip link set lo up
  mkdir -p oldroot
  pivot_root . oldroot
  # Credentials are mounted in a child and have to show up here.
  exec chroot . /bin/sh -c 'umount -l /oldroot && mount --make-rshared /
    exec env -i container=paysaga PATH=/usr/sbin:/usr/bin TERM=dumb /lib/systemd/systemd --unit=multi-user.target'
}

inside() {
  nsenter --target "$init" --mount --pid --uts --ipc --net --cgroup --root --wd \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}

take_down() {
  if [[ -n $machine ]]; then
    # The kernel kills every process of the namespace with its first.
    kill -KILL "${init:-$machine}" 2>/dev/null || true
    wait $machine 2>/dev/null || true
  fi
  if [[ -n ${root:-} ]]; then umount "$root" || umount --lazy "$root" || true; fi
  if [[ -d $work/machine ]]; then umount "$work/machine" || umount --lazy "$work/machine" || true; fi
  if [[ -n ${cgroup:-} ]]; then find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true; fi
}

main
