# shellcheck shell=bash disable=SC2154 # work and store are set by evaluate.sh
# To be sourced, after evaluate.sh: a machine with the units that the NixOS module renders, under systemd, with real PostgreSQL and
# RabbitMQ. It is this one's own root below an overlay, in namespaces of its own: nothing is written to this one, and no port of
# it is used. PAYSAGA_MACHINE names another root, such as that of a newer Debian.
# Needs root; Debian's nix-bin, jq, systemd, dbus, libnss-systemd, postgresql, rabbitmq-server, curl, iproute2, sudo.
base=${PAYSAGA_MACHINE:-/}
jaeger=$(type -P jaeger || echo "$HOME/.cache/paysaga/jaeger")
machine=
# The mounts are below the directory of evaluate.sh, so they are taken down before it is removed.
trap 'take_down; chmod -R u+w "$work"; rm -rf "$work"' EXIT

# --- a root of its own ---

set_up_root() {
  mkdir "$work/machine"
  mount -t tmpfs tmpfs "$work/machine"
  mkdir "$work/machine"/{upper,work,root}
  root=$work/machine/root
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/machine/upper,workdir=$work/machine/work" "$root"
  # No unit that this machine starts, and none of its data.
  find "$root/etc/systemd/system" -path '*.wants/*' -delete
  generation=$(find "$root/usr/lib/postgresql" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | tail -n 1)
  rm -rf "$root/var/lib/postgresql/$generation" "$root/etc/postgresql/$generation" "$root"/var/lib/rabbitmq/{mnesia,.erlang.cookie}
  mkdir -p "$root/opt"
  printf '127.0.0.1 localhost paysaga\n' >"$root/etc/hosts"
  printf 'paysaga\n' >"$root/etc/hostname"
}

# install_host JSON HOST PROGRAMS TREE: what a host of units.nix has, as files in TREE: the root, or what is to be copied there.
install_host() {
  json=$1 host=$2 programs=$3 tree=$4
  units=$tree/etc/systemd/system
  mkdir -p "$units/multi-user.target.wants" "$tree"/{etc/{rabbitmq,tmpfiles.d,sudoers.d},opt,usr/bin}
  install_store
  install_commands
  install_postgresql
  install_rabbitmq
  install_paysaga
}

# of PATH: that part of the host, as jq has it.
of() {
  jq --raw-output --arg host "$host" ".[\$host].$1" "$json"
}

# A unit whose text is another after a switch is restarted. On NixOS, the names of these files would be part of it.
restart_triggers() {
  printf 'X-Restart-Triggers=%s\n' "$(cat "$@" | sha256sum | cut -c-64)"
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
    # For processes that a test starts besides the units.
    [[ $program == jaeger ]] || ln -sf "$line" "$root/opt/$program"
  done < <({ of 'units[]' && of 'programs[]?' | sed 's/^/ExecStart=/'; } | sed -nE 's#^ExecStart=(/nix/store/[^ ]+).*#\1#p' | sort -u)
}

# What NixOS would make of environment.systemPackages, users.groups, security.sudo and systemd.tmpfiles.
install_commands() {
  local name script
  # The stand-in can't make a file executable.
  grep --recursive --files-with-matches '^#!/bin/bash$' "$root/nix/store" | xargs --no-run-if-empty chmod 755
  while read -r name script; do
    ln -s "$script" "$tree/usr/bin/$name"
  done < <(of 'commands[]? | "\(.name) \(.script)"')
  of 'groups // {} | keys[]' | xargs --no-run-if-empty --max-args=1 groupadd --root "$root" --system --force
  of 'tmpfiles.rules[]?' >"$tree/etc/tmpfiles.d/paysaga.conf"
  of 'sudo.extraRules[]? | "%\(.groups[]) ALL=(\(.runAs)) \(.commands[] | "\(.options[]): \(.command)")"' >"$tree/etc/sudoers.d/paysaga"
}

# --- what NixOS would make of services.postgresql and services.rabbitmq ---

install_postgresql() {
  local data
  # Not known to versions before there were backups.
  data=$(of 'postgresql.dataDir // "/var/lib/postgresql/17"')
  of postgresql.authentication >"$tree/opt/pg_hba.conf"
  of 'postgresql.settings | to_entries[] | "\(.key) = '\''\(.value)'\''"' >"$tree/opt/settings.conf"
  cat >"$tree/opt/postgresql-create" <<END
#!/bin/bash
set -e
cd /etc/postgresql/$generation/main 2>/dev/null || {
  pg_createcluster --datadir=$data $generation main
  cd /etc/postgresql/$generation/main
  cp pg_hba.conf pg_hba.conf.default
}
# NixOS puts these lines above its own.
cat /opt/pg_hba.conf pg_hba.conf.default >pg_hba.conf
cp /opt/settings.conf conf.d/
END
  # As nixos/modules/services/databases/postgresql.nix: whenever it is run, what is missing is added.
  {
    # shellcheck disable=SC2016 # expanded where it runs
    printf '#!/bin/bash\nset -e\nexists() { [[ $(psql -tAc "SELECT 1 FROM $1") == 1 ]]; }\n'
    of 'postgresql.ensureDatabases[]' |
      sed "s/.*/exists \"pg_database WHERE datname = '&'\" || createdb &/"
    of 'postgresql.ensureUsers[].name' |
      sed "s/.*/exists \"pg_roles WHERE rolname = '&'\" || createuser &/"
    of 'postgresql.ensureUsers[] | select(.ensureDBOwnership) | .name' |
      sed "s/.*/psql -qc 'ALTER DATABASE \"&\" OWNER TO \"&\"'/"
  } >"$tree/opt/postgresql-setup"
  chmod 755 "$tree"/opt/postgresql-*
  cat >"$units/postgresql-create.service" <<END
[Unit]
$(restart_triggers "$tree"/opt/{pg_hba.conf,settings.conf})
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/opt/postgresql-create
END
  cat >"$units/postgresql-setup.service" <<END
[Unit]
Requires=postgresql@$generation-main.service
After=postgresql@$generation-main.service
$(restart_triggers "$tree/opt/postgresql-setup")
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
  mkdir -p "$units/postgresql@$generation-main.service.d"
  # NixOS's unit, too, is part of the target.
  printf '[Unit]\nRequires=postgresql-create.service\nAfter=postgresql-create.service\nPartOf=postgresql.target\n' \
    >"$units/postgresql@$generation-main.service.d/create.conf"
  enable postgresql.target
  ln -sf "../lib/postgresql/$generation/bin/pg_verifybackup" "$root/usr/bin/"
}

install_rabbitmq() {
  # NixOS's module adds the listener.
  of 'rabbitmq | {"listeners.tcp.1": "127.0.0.1:\(.port)"} + .configItems | to_entries[] | "\(.key) = \(.value)"' \
    >"$tree/etc/rabbitmq/rabbitmq.conf"
  printf '[%s].\n' "$(of 'rabbitmq.plugins | join(",")')" >"$tree/etc/rabbitmq/enabled_plugins"
  # A unit of its own under NixOS's name, not an alias: credentials are named after the unit.
  sed '/^Alias=/d' "$root/lib/systemd/system/rabbitmq-server.service" >"$units/rabbitmq.service"
  mkdir -p "$units/rabbitmq.service.d"
  of 'units["rabbitmq.service"]' >"$units/rabbitmq.service.d/paysaga.conf"
  printf '[Unit]\n%s\n' "$(restart_triggers "$tree"/etc/rabbitmq/{rabbitmq.conf,enabled_plugins})" \
    >"$units/rabbitmq.service.d/configuration.conf"
  enable rabbitmq.service
}

# --- ours ---

install_paysaga() {
  local folder unit
  folder=$(mktemp -d --tmpdir="$work")
  install_units "$json" "$host" "$folder"
  for unit in "$folder"/paysaga-*; do
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
  cd "$1" || return
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
    wait "$machine" 2>/dev/null || true
  fi
  if [[ -n ${root:-} ]]; then umount "$root" || umount --lazy "$root" || true; fi
  if [[ -d $work/machine ]]; then umount "$work/machine" || umount --lazy "$work/machine" || true; fi
  if [[ -n ${cgroup:-} ]]; then find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true; fi
}
