#!/usr/bin/env bash
# build-static.sh PROFILE: builds the four static programs, with a profile of cargo's, into the target folder.
#
# No folder of the builder is in a program: sources, crates and build output have the same names on every machine, so that
# the same commit and compiler give the same bytes (supply-chain/reproducible.sh proves it).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=${1:?usage: build-static.sh PROFILE}
musl=x86_64-unknown-linux-musl

# The last name that fits a path holds: the target folder is in most cases below the sources.
crates=${CARGO_HOME:-$HOME/.cargo}
names=(
  "$PWD=/paysaga"
  "$crates=/cargo"
  "$(realpath --canonicalize-missing "$crates/registry")=/cargo/registry"
  "$(rustc --print sysroot)=/rust"
  "$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")=/target"
)

# As cargo takes it, with flags that may contain spaces.
separator=$'\x1f'
flags=${CARGO_ENCODED_RUSTFLAGS:-${RUSTFLAGS:+${RUSTFLAGS// /$separator}}}
for name in "${names[@]}"; do
  flags+=${flags:+$separator}--remap-path-prefix=$name
  # ring and mimalloc are C in part.
  c_flags+=" -ffile-prefix-map=$name"
done
unset RUSTFLAGS
# mimalloc's C has the time of its compilation in it. Not the commit's: what is compiled stays in the target folder for the next.
export SOURCE_DATE_EPOCH=0
export CARGO_ENCODED_RUSTFLAGS=$flags CFLAGS_x86_64_unknown_linux_musl="${CFLAGS_x86_64_unknown_linux_musl:-}$c_flags"

# What /metrics says that it was built from (paysaga_build_info). Only of what is committed; an archive of the sources does not know.
if [[ -z ${PAYSAGA_COMMIT-} && -z $(git status --porcelain 2>/dev/null || echo none) ]]; then
  PAYSAGA_COMMIT=$(git rev-parse HEAD)
  export PAYSAGA_COMMIT
fi

cargo build --locked -p gateway -p order -p payment -p paysaga --target "$musl" --profile "$profile"
