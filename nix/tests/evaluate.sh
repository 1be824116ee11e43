# shellcheck shell=bash
# To be sourced: evaluation with a store of its own, and copies of the sources, in a temporary directory that is removed at the
# script's end.
work=$(mktemp -d)
# Nix makes the contents of a store read-only.
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
store=$work/store

# evaluate FILE: prints its value as JSON; what Nix writes to standard error, only if it fails.
evaluate() {
  NIX_CONFIG='build-users-group =' nix-instantiate --eval --read-write-mode --strict --json --store "$store" "$1" 2>"$work/evaluation" || {
    cat "$work/evaluation" >&2
    return 1
  }
}

# install_units JSON HOST FOLDER: writes a host's units as files.
install_units() {
  local name
  for name in $(jq --raw-output --arg host "$2" '.[$host].units | keys[]' "$1"); do
    jq --raw-output --arg host "$2" --arg name "$name" '.[$host].units[$name]' "$1" >"$3/$name"
  done
}

# copy_sources FOLDER [PATHSPEC…]: what git knows, and what it is about to know: a flake sees nothing else.
copy_sources() {
  local folder=$1 file
  shift
  mkdir "$folder"
  git ls-files --cached --others --exclude-standard --deduplicate -z -- "$@" | while IFS= read -r -d '' file; do
    # Not one that was deleted.
    [[ ! -e $file ]] || printf '%s\0' "$file"
  done | xargs --null cp --parents --target-directory="$folder"
}
