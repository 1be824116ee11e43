#!/usr/bin/env bash
# pin-images.sh           writes into compose.yaml the digests that the tags in it have today, at their registries
# pin-images.sh --check   says which of them a registry would give another image for; changes nothing
#
# A digest is that of the index, which holds the image for each architecture. Needs skopeo, and to reach the registries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
  printf 'pin-images.sh: %s\n' "$*" >&2
  exit 1
}

case ${1:-} in
  '' | --check) ;;
  *) fail "there is no option $1; --check changes nothing" ;;
esac
mapfile -t images < <(sed -n 's/^ *image: *\([^ ]*@sha256:[0-9a-f]*\)$/\1/p' compose.yaml | sort -u)
((${#images[@]})) || fail 'compose.yaml pins no image'
moved=0
for image in "${images[@]}"; do
  tag=${image%@*}
  digest=$(skopeo inspect --raw "docker://$tag" | sha256sum | cut -d' ' -f1)
  if [[ $image == "$tag@sha256:$digest" ]]; then
    printf '%s is still the image that is pinned\n' "$tag"
    continue
  fi
  moved=1
  printf '%s is now sha256:%s\n' "$tag" "$digest"
  [[ ${1:-} == --check ]] || sed -i "s#$image#$tag@sha256:$digest#" compose.yaml
done
[[ ${1:-} != --check ]] || exit "$moved"
