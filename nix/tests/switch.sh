#!/usr/bin/env bash
# Runs in the machine of upgrade.sh: does with the units what NixOS does in `nixos-rebuild switch` (switch-to-configuration).
#   switch.sh FROM TO   names of folders in /generations
set -euo pipefail
from=/generations/$1 to=/generations/$2
folder=etc/systemd/system

# Of each unit its own file, or what is added to one of Debian's.
units_of() { (cd "$1/$folder" && find . -maxdepth 1 \( -name '*.service' -o -name '*.path' -o -name '*.timer' -o -name '*.d' \) -printf '%f\n' | sed 's/\.d$//' | sort -u); }
text_of() { (cd "$1/$folder" && cat "$2" "$2.d"/* 2>/dev/null) || true; }
is_running() { [[ $(systemctl show --property=ActiveState --value "$1") =~ ^(active|activating|reloading)$ ]]; }

stop=() start=()
for unit in $(units_of "$from"); do
  is_running "$unit" || continue
  if [[ -z $(text_of "$to" "$unit") ]]; then
    stop+=("$unit")
  elif [[ $(text_of "$to" "$unit") != "$(text_of "$from" "$unit")" && $unit != *.path ]]; then
    stop+=("$unit")
    start+=("$unit")
  fi
done
((${#stop[@]} == 0)) || systemctl stop "${stop[@]}"

(cd "$from" && find . \( -type f -o -type l \) -print0) | (cd / && xargs -0 rm -f)
cp -a "$to/." /

systemctl reset-failed
systemctl daemon-reload
systemd-tmpfiles --create /etc/tmpfiles.d/paysaga.conf
# Targets that are active are started once more: with them come the units that are new.
for target in $(systemctl list-units --type=target --state=active --plain --no-legend | awk '{ print $1 }'); do
  [[ $(systemctl show --property=RefuseManualStart --value "$target") == yes ]] || start+=("$target")
done
systemctl start "${start[@]}"
printf '%s\n' "${stop[@]}"
