# How a derivation is built: the phases of nixpkgs' stdenv, as far as they are used.
unset PATH
PATH=
for package in $nativeBuildInputs $standard; do PATH+=${PATH:+:}$package/bin; done
export PATH HOME=/homeless-shelter TMPDIR=$NIX_BUILD_TOP SHELL=/bin/bash SOURCE_DATE_EPOCH=315532800
set -o pipefail
cd "$NIX_BUILD_TOP"

runHook() {
  local hook=${1}
  if declare -F "$hook" >/dev/null; then "$hook"; fi
  eval "${!hook:-}"
}

# runPhase NAME DEFAULT: what the derivation says of the phase, else its default.
runPhase() {
  if [ -n "${!1:-}" ]; then eval "${!1}"; else $2; fi
}

# The references of a script are the host's.
patchShebangs() {
  local file
  for file in $(find "$@" -type f -perm -0100); do
    sed -i '1s,^#!/usr/bin/env bash,#!/bin/bash,' "$file"
  done
}

unpack() {
  case $src in
    *.tar.gz)
      tar --extract --gzip --file="$src"
      cd "$(find . -mindepth 1 -maxdepth 1 -type d)"
      ;;
    *)
      # Under its name without the hash.
      name=${src##*/}
      cp --recursive --preserve=timestamps "$src" "${name#*-}"
      chmod --recursive u+w "${name#*-}"
      cd "${name#*-}"
      ;;
  esac
}

fixup() {
  local folder
  [ -z "${dontFixup:-}" ] || return 0
  for folder in ${stripAllList:-}; do
    [ ! -d "$out/$folder" ] || find "$out/$folder" -type f -exec strip --strip-all {} +
  done
}

nothing() { :; }

for phase in ${phases:-unpackPhase configurePhase buildPhase installPhase fixupPhase installCheckPhase}; do
  case $phase in
    unpackPhase) runPhase unpackPhase unpack ;;
    configurePhase) if [ -z "${dontConfigure:-}" ]; then runPhase configurePhase nothing; fi ;;
    buildPhase) if [ -z "${dontBuild:-}" ]; then runPhase buildPhase nothing; fi ;;
    installPhase) runPhase installPhase nothing ;;
    fixupPhase) fixup ;;
    installCheckPhase) if [ -n "${doInstallCheck:-}" ]; then runPhase installCheckPhase nothing; fi ;;
  esac
done
