#!/usr/bin/env bash
# run-saga.sh empty-root PROGRAMS        the saga with the four static programs in PROGRAMS alone in a file system
# run-saga.sh images PROGRAMS ARCHIVES   the saga with the images in ARCHIVES, by podman if that works, else by chroot
#
# The end-to-end tests (tests/tests/saga) start the programs through wrappers, which this creates in PAYSAGA_BINARIES.
# PostgreSQL and RabbitMQ are private ones outside, which the tests start. The tests that run cover the
# whole saga and shutdown; some others give a service a file, which it would not find.
set -euo pipefail

tests=(every_command_of_the_readme the_demo_follows a_service_that_is_stopped)

podman=()

main() {
  local kind=${1:-}
  programs=$(realpath "${2:?usage: run-saga.sh empty-root PROGRAMS | images PROGRAMS ARCHIVES}")
  work=$(mktemp -d -t paysaga-saga-XXXXXX)
  trap clean_up EXIT
  # The user that the services run as must be able to enter their roots.
  chmod 755 "$work"
  mkdir "$work/starters"
  case $kind in
    empty-root) empty_root ;;
    images) images "$(realpath "${3:?usage: run-saga.sh images PROGRAMS ARCHIVES}")" ;;
    *) fail "there is no $kind" ;;
  esac
  PAYSAGA_BINARIES=$work/starters cargo test --locked --workspace --test saga -- "${tests[@]}"
}

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "run-saga.sh: $*"
  exit 1
}
skip() {
  say "SKIPPED: $*"
  exit 0
}

clean_up() {
  if ((${#podman[@]})); then
    # A test that ends without stopping its services kills podman, which leaves their containers.
    "${podman[@]}" rm --all --force --time 0 >/dev/null || true
    # Each container's own cleanup follows, and mounts the storage once more.
    local tries
    for ((tries = 0; tries < 100; tries++)); do
      pgrep --full "$work/podman" >/dev/null || break
      sleep 0.1
    done
    # Root's podman leaves its storage mounted on itself, more than once; a rootless one leaves files of users that exist only
    # in its user namespace.
    if ((EUID == 0)); then
      while umount "$work/podman/overlay" 2>/dev/null; do :; done
    else
      "${podman[@]}" unshare rm -rf "$work/podman" || true
    fi
  fi
  rm -rf "$work"
}

# starter NAME LINE…: the wrapper that the tests start as NAME. A service gets the variables that they set, and no others.
starter() {
  {
    printf '#!/bin/sh\n'
    printf 'unset PWD OLDPWD SHLVL _\n'
    printf '%s\n' "${@:2}"
  } >"$work/starters/$1"
  chmod 755 "$work/starters/$1"
}

# --- Four files and nothing else ----------------------------------------------------------------------------------

empty_root() {
  local root=$work/root name enter
  if ((EUID == 0)); then
    enter="$(type -P chroot) --userspec=65532:65532 --groups= $root"
  elif unshare --user --map-user=65532 --map-group=65532 true 2>/dev/null; then
    enter="$(type -P unshare) --user --map-user=65532 --map-group=65532 --root=$root --wd=/"
  else
    skip 'the saga in an empty root. That needs root, or unprivileged user namespaces.'
  fi
  mkdir "$root"
  for name in gateway order payment paysaga; do
    install --mode=755 "$programs/$name" "$root/$name"
    starter "$name" "exec $enter /$name \"\$@\""
  done
  say "The saga in a root that holds $(cd "$root" && echo *) and nothing else"
}

# --- Images -------------------------------------------------------------------------------------------------------

images() {
  local archives=$1 run name
  if podman_works "$archives/gateway.tar"; then
    say "The saga with the images, run by ${podman[*]}"
    run=by_podman
  elif ((EUID == 0)); then
    say 'The saga with the images, run by chroot: there is no podman that works here.'
    run=by_chroot
  else
    skip 'the saga with the images. That needs podman, or root for chroot.'
  fi
  for name in gateway order payment paysaga; do
    "$run" "$name" "$archives/$name.tar"
  done
}

# The most restrictive options. The limits are explicit because podman's defaults may exceed what this machine allows.
restrictions=(
  --network=host --read-only --cap-drop=all --security-opt=no-new-privileges
  --ulimit=nofile=4096:4096 --ulimit=nproc=4096:4096
)

# Whether podman can run a container, with the runtime that it prefers or with another one. Sets podman.
podman_works() {
  local runtime image
  type -P podman >/dev/null || return 1
  for runtime in '' --runtime=runc --runtime=crun; do
    podman=(podman --root="$work/podman" --runroot="$work/podman-run" ${runtime:+"$runtime"})
    if image=$(load "$1" 2>"$work/output") &&
      "${podman[@]}" run --rm "${restrictions[@]}" "$image" --version >"$work/output" 2>&1; then
      return 0
    fi
  done
  podman=()
  say "podman can't run a container here: $(tail -1 "$work/output")"
  return 1
}

# Prints the name that podman gives the image in an archive.
load() { "${podman[@]}" load --quiet --input "$1" | sed 's/^Loaded image: *//'; }

# by_podman NAME ARCHIVE
by_podman() {
  # shellcheck disable=SC2016 # the starter expands these
  starter "$1" \
    'variables=$(env | sed -n "s/^\([A-Z_0-9]*\)=.*/--env \1/p")' \
    "export HOME='$HOME' PATH='$PATH'" \
    "exec ${podman[*]} run --rm ${restrictions[*]} --env ALLOW_PLAINTEXT=http \$variables $(load "$2") \"\$@\""
}

# by_chroot NAME ARCHIVE: applies the image's configuration as a container engine does.
by_chroot() {
  local layout=$work/layout-$1 bundle=$work/bundle-$1
  skopeo copy --quiet "oci-archive:$2" "oci:$layout:image"
  umoci unpack --image "$layout:image" "$bundle" 2>/dev/null
  # umoci creates it for its owner alone.
  chmod 755 "$bundle"
  local user variables entrypoint
  user=$(of_image "$2" '{{.Config.User}}')
  # Those that the caller sets come before the image's.
  variables=$(of_image "$2" '{{range .Config.Env}}{{.}} {{end}}' | sed -E 's/([A-Z_]+)=([^ ]*)/\1="${\1-\2}"/g')
  entrypoint=$(of_image "$2" '{{range .Config.Entrypoint}}{{.}} {{end}}')
  # The images listen on every address.
  starter "$1" \
    "export ALLOW_PLAINTEXT=\${ALLOW_PLAINTEXT-http} $variables" \
    "exec $(type -P chroot) --userspec=$user --groups= $bundle/rootfs $entrypoint \"\$@\""
}

of_image() { skopeo inspect --config --format "$2" "oci-archive:$1"; }

main "$@"
