#!/usr/bin/env bash
# Builds the flake for real, as far as that can be done without nixpkgs: its packages, an image, what `nix run` runs, and all
# checks but that of machines; each in Nix's sandbox, with the small package set of host-packages/ in the place of nixpkgs.
# `./dev nix` runs this.
#   nix/tests/build.sh SYSTEM TOOLS [--without-tests | COMMAND OF NIX…]
# SYSTEM is a Debian in a directory, with Nix; its store is kept for the next time. TOOLS is a folder with programs of ours that no Debian
# has. Needs root, Rust, and the crates of Cargo.lock as cargo has downloaded them.
set -euo pipefail
system=$(realpath "$1")
tools=$(realpath "$2")
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=nix/tests/evaluate.sh
source nix/tests/evaluate.sh

# One at a time: they would share its store, and its folders.
exec 9>"$system.lock"
flock 9
rust=$(rustc --print sysroot)
cargo fetch --locked --quiet
# The newest, should there be more than one: one for each address of the registry.
crates=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/cache" -mindepth 1 -maxdepth 1 -printf '%T@ %p\n' | sort --numeric-sort | tail -n 1)
crates=${crates#* }

copy_sources "$work/source"

# Run in namespaces of its own. Makes the Debian the root: not by chroot(2), after which no other namespaces can be made, and
# Nix's sandbox is made of those.
enter() {
  local system=$1 source=$2 rust=$3 crates=$4 tools=$5
  shift 5
  mount --bind "$system" "$system"
  cd "$system"
  mkdir -p source rust crates tools
  mount --bind "$source" source
  mount --bind -o ro "$rust" rust
  mount --bind -o ro "$crates" crates
  mount --bind -o ro "$tools" tools
  mount -t proc proc proc
  mount --rbind /dev dev
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  ip link set lo up
  mkdir -p oldroot
  pivot_root . oldroot
  umount --lazy /oldroot
  exec env -i PATH=/usr/bin:/usr/sbin HOME=/root TERM=dumb /bin/bash /source/nix/tests/built.sh "$@"
}
# Loopback is all that it has of a network.
unshare --mount --propagation private --pid --net --fork --kill-child \
  bash -euc "$(declare -f enter); enter \"\$@\"" build "$system" "$work/source" "$rust" "$crates" "$tools" "$@"
