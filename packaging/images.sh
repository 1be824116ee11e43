#!/usr/bin/env bash
# images.sh PROGRAMS FOLDER: packs each of the four static programs in PROGRAMS into an OCI archive, FOLDER/<name>.tar.
#
# An image is one layer (the program, CA certificates, /tmp) and a configuration. This writes both in the form of the
# image specification (github.com/opencontainers/image-spec), with tar, gzip and sha256sum alone. The same
# commit, CA certificates and programs give the same digest: names are sorted, owners are root, and the only time in it
# is the commit's. The archive also has the manifest.json of `docker save`, so that a Docker before 25 can load it.
set -euo pipefail
umask 022

programs=${1:?usage: images.sh PROGRAMS FOLDER}
folder=${2:?usage: images.sh PROGRAMS FOLDER}
authorities=${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}

main() {
  [[ -s $authorities ]] || fail "there are no CA certificates in $authorities (on Debian: apt-get install ca-certificates); CA_BUNDLE can name others"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
  created=$(date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ)
  mkdir -p "$folder"
  image gateway 3000 'the only door: turns commands into events, and answers queries'
  image order 3001 'owns the orders'
  image payment 3002 'owns the payments'
  image paysaga '' "the operator's command"
}

fail() {
  printf 'images.sh: %s\n' "$*" >&2
  exit 1
}

# image NAME PORT DESCRIPTION
image() {
  local name=$1 port=$2 description=$3 version layout=$work/$1
  version=$(env -i "$programs/$name" --version)
  version=${version#"$name "}
  mkdir -p "$layout/blobs/sha256"
  local ports='' variables='"SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"'
  if [[ $port ]]; then
    local management_port=$((port + 1000))
    ports="\"$port/tcp\": {}, \"$management_port/tcp\": {}"
    variables+=", \"LISTEN_ADDRESS=0.0.0.0\", \"MANAGEMENT_ADDRESS=0.0.0.0:$management_port\""
  fi

  layer "$name" "$layout"
  local layer_id=$identity layer_digest=$digest layer_size=$size
  blob "$layout" <<END
{
  "architecture": "amd64",
  "os": "linux",
  "created": "$created",
  "config": {
    "User": "65532:65532",
    "Entrypoint": ["/bin/$name"],
    "Env": [$variables],
    "ExposedPorts": {$ports},
    "WorkingDir": "/tmp",
    "StopSignal": "SIGTERM",
    "Labels": {
      "org.opencontainers.image.title": "paysaga $name",
      "org.opencontainers.image.description": "$description",
      "org.opencontainers.image.version": "$version",
      "org.opencontainers.image.licenses": "MIT",
      "org.opencontainers.image.revision": "$commit",
      "org.opencontainers.image.created": "$created"
    }
  },
  "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer_id"]},
  "history": [{"created": "$created", "created_by": "packaging/images.sh"}]
}
END
  local config_digest=$digest config_size=$size
  blob "$layout" <<END
{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:$config_digest",
    "size": $config_size
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:$layer_digest",
      "size": $layer_size
    }
  ]
}
END
  cat >"$layout/index.json" <<END
{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "sha256:$digest",
      "size": $size,
      "platform": {"architecture": "amd64", "os": "linux"},
      "annotations": {
        "org.opencontainers.image.ref.name": "paysaga/$name:$version",
        "io.containerd.image.name": "docker.io/paysaga/$name:$version"
      }
    }
  ]
}
END
  cat >"$layout/manifest.json" <<END
[
  {
    "Config": "blobs/sha256/$config_digest",
    "RepoTags": ["paysaga/$name:$version"],
    "Layers": ["blobs/sha256/$layer_digest"]
  }
]
END
  printf '{"imageLayoutVersion": "1.0.0"}\n' >"$layout/oci-layout"
  archive "$layout" "$folder/$name.tar.new" blobs index.json manifest.json oci-layout
  mv "$folder/$name.tar.new" "$folder/$name.tar"
  printf '%-8s %4.1f MB  sha256:%s\n' "$name" "${layer_size}e-6" "$digest"
}

# layer NAME LAYOUT: the image's one layer. Sets identity (of what it holds) and digest and size (of it compressed).
layer() {
  local name=$1 layout=$2 root=$work/$1-root
  install -D --mode=755 "$programs/$name" "$root/bin/$name"
  install -D --mode=644 "$authorities" "$root/etc/ssl/certs/ca-bundle.crt"
  mkdir "$root/tmp"
  chmod 755 "$root/bin" "$root"/etc{,/ssl,/ssl/certs}
  chmod 1777 "$root/tmp"
  archive "$root" "$work/layer.tar" bin etc tmp
  identity=$(sha256 "$work/layer.tar")
  gzip --no-name --best <"$work/layer.tar" >"$work/layer.tar.gz"
  blob "$layout" <"$work/layer.tar.gz"
}

# blob LAYOUT: keeps standard input under its digest. Sets digest and size.
blob() {
  local layout=$1
  cat >"$work/blob"
  digest=$(sha256 "$work/blob")
  size=$(stat --format=%s "$work/blob")
  mv "$work/blob" "$layout/blobs/sha256/$digest"
}

# archive FOLDER FILE MEMBER…: the same bytes for the same content.
archive() {
  tar --create --format=ustar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner \
    --directory="$1" --file="$2" "${@:3}"
}

sha256() {
  local sum
  sum=$(sha256sum "$1")
  printf '%s' "${sum%% *}"
}

main
