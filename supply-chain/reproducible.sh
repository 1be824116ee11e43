#!/usr/bin/env bash
# reproducible.sh PROFILE FOLDER: builds the four static programs once more, from a copy of the sources in a folder with a
# longer name, with another home of cargo and another environment, and compares them bit for bit with those that
# packaging/build-static.sh left in FOLDER. Also proves that no folder of the builder is in them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=${1:?usage: reproducible.sh PROFILE FOLDER}
first=$(realpath "${2:?usage: reproducible.sh PROFILE FOLDER}")
crates=${CARGO_HOME:-$HOME/.cargo}

main() {
  work=$(mktemp -d -t paysaga-reproducible-XXXXXX)
  trap 'rm -rf "$work"' EXIT
  build "$work/a/folder/with-a-longer-name"
  local second=$work/a/folder/with-a-longer-name/target/x86_64-unknown-linux-musl/${profile/#dev/debug} name found
  for name in gateway order payment paysaga; do
    cmp "$first/$name" "$second/$name" || fail "two builds of $name differ"
    # A panic, or a path that env!() took, would carry it.
    found=$(grep --text --only-matching --fixed-strings -e "$work" -e "$PWD" -e "$crates" "$first/$name" "$second/$name" | sort -u) || true
    [[ -z $found ]] || fail "$name contains a path of the builder: $found"
    printf '%-8s is the same in two folders: sha256:%s\n' "$name" "$(sha256sum "$second/$name" | cut -d' ' -f1)"
  done
}

fail() {
  printf 'reproducible.sh: %s\n' "$*" >&2
  exit 1
}

# build FOLDER: the sources, a home of cargo and a target folder, all in there. The crates that were downloaded are shared.
build() {
  local folder=$1 file
  mkdir -p "$folder/sources" "$folder/cargo"
  git ls-files --cached --others --exclude-standard -z Cargo.toml Cargo.lock contracts migrations services tests packaging/build-static.sh |
    xargs -0 cp --parents --target-directory="$folder/sources"
  for file in "$crates"/registry "$crates"/config.toml; do
    [[ ! -e $file ]] || ln -s "$file" "$folder/cargo/"
  done
  CARGO_HOME=$folder/cargo CARGO_TARGET_DIR=$folder/target LANG=C TZ=Asia/Tokyo "$folder/sources/packaging/build-static.sh" "$profile"
}

main
