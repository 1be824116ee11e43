#!/usr/bin/env bash
# check-images.sh PROGRAMS ARCHIVES: the images in ARCHIVES have the content and configuration that packaging/images.sh
# describes, are the same byte for byte when it packs PROGRAMS once more, are read by skopeo as an OCI archive and as one of
# Docker's, and are below 8 MB compressed (unless IMAGE_LIMIT is none: a debug build is larger).
set -euo pipefail

programs=${1:?usage: check-images.sh PROGRAMS ARCHIVES}
archives=${2:?usage: check-images.sh PROGRAMS ARCHIVES}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  printf 'check-images.sh: %s\n' "$*" >&2
  exit 1
}

# equal WHAT EXPECTED ACTUAL
equal() { [[ $2 == "$3" ]] || fail "$1 is"$'\n'"$3"$'\n'"instead of"$'\n'"$2"; }

# In another folder, at another time, with another umask and time zone.
(umask 077 && TZ=Asia/Tokyo "$(dirname "$0")/images.sh" "$programs" "$work/again" >/dev/null)

for name in gateway order payment paysaga; do
  archive=$archives/$name.tar
  cmp "$archive" "$work/again/$name.tar" || fail "$name packed twice is not the same"

  case $name in
    gateway) port=3000 ;;
    order) port=3001 ;;
    payment) port=3002 ;;
    *) port= ;;
  esac
  management_port=${port:+$((port + 1000))}
  for transport in oci-archive docker-archive; do
    configuration=$(skopeo inspect --config --format '{{.Architecture}} {{.OS}} {{.Config.User}} {{.Config.Entrypoint}} {{.Config.Env}} {{.Config.ExposedPorts}} {{.Config.StopSignal}}' "$transport:$archive")
    equal "the configuration of $archive" \
      "amd64 linux 65532:65532 [/bin/$name] [SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt${port:+ LISTEN_ADDRESS=0.0.0.0 MANAGEMENT_ADDRESS=0.0.0.0:$management_port}] map[${port:+$port/tcp:{\} $management_port/tcp:{\}}] SIGTERM" \
      "$configuration"
  done
  digest=$(skopeo inspect --format '{{.Digest}}' "oci-archive:$archive")
  [[ $digest == sha256:* ]] || fail "skopeo finds no digest in $archive"

  skopeo copy --quiet "oci-archive:$archive" "dir:$work/$name"
  layer=$(find "$work/$name" -type f -size +100k)
  equal "the content of $archive" "\
drwxr-xr-x 0/0 bin/
-rwxr-xr-x 0/0 bin/$name
drwxr-xr-x 0/0 etc/
drwxr-xr-x 0/0 etc/ssl/
drwxr-xr-x 0/0 etc/ssl/certs/
-rw-r--r-- 0/0 etc/ssl/certs/ca-bundle.crt
drwxrwxrwt 0/0 tmp/" "$(tar --list --verbose --numeric-owner --file "$layer" | awk '{ print $1, $2, $NF }')"

  size=$(stat --format=%s "$layer")
  [[ ${IMAGE_LIMIT:-} == none ]] || ((size < 8000000)) || fail "the image of $name has $size bytes compressed"
  printf '%-8s %4.1f MB  %s\n' "$name" "${size}e-6" "$digest"
done
