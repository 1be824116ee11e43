#!/usr/bin/env bash
# prove-static.sh FOLDER: the four programs in FOLDER need no file of the machine, not even a dynamic linker.
set -euo pipefail

folder=${1:?usage: prove-static.sh FOLDER}

fail() {
  printf 'prove-static.sh: %s\n' "$*" >&2
  exit 1
}

for name in gateway order payment paysaga; do
  program=$folder/$name
  # Into a variable first: a readelf that fails must not look like one that found nothing.
  segments=$(readelf --wide --program-headers "$program")
  needed=$(readelf --wide --dynamic "$program")
  [[ $segments == *LOAD* ]] || fail "$program is not a program"
  [[ $segments != *INTERP* ]] || fail "$program needs a dynamic linker"
  [[ $needed != *NEEDED* ]] || fail "$program needs shared libraries"
  # musl's own allocator takes a lock for everything. A program with mimalloc contains the names of its options.
  grep --quiet --text mimalloc "$program" || fail "$program allocates with musl's own allocator"
  version=$(env -i "$program" --version)
  [[ $version == "$name "[0-9]* ]] || fail "the version of $program is $version"
  printf '%-8s static, %4.1f MB\n' "$name" "$(stat --format=%s "$program")e-6"
done
