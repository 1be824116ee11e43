#!/usr/bin/env bash
# sbom.sh FOLDER            writes FOLDER/<name>.cdx.json for each of the four static programs: a bill of materials in the form
#                           of CycloneDX 1.5 (cyclonedx.org), with what is linked into that program and nothing else
# sbom.sh FOLDER ARCHIVES   the same for each image in ARCHIVES: what is in its program, and the other files of its layer
#
# The same commit gives the same bytes: a bill has no serial number, and its time is the commit's. The bills of images name
# the digest of their image. Needs cargo-cyclonedx and jq; an image needs skopeo besides.
set -euo pipefail

folder=${1:?usage: sbom.sh FOLDER [ARCHIVES]}
archives=${2:-}
target=x86_64-unknown-linux-musl
programs=(gateway order payment paysaga)

main() {
  mkdir -p "$folder"
  folder=$(realpath "$folder")
  archives=${archives:+$(realpath "$archives")}
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
  linked_crates >"$work/linked"
  describe
  local name
  for name in "${programs[@]}"; do
    program "$name" >"$work/$name.cdx.json"
    check "$name"
    if [[ $archives ]]; then image "$name" >"$folder/$name.cdx.json"; else mv "$work/$name.cdx.json" "$folder/"; fi
    printf '%-8s %3d components  %s\n' "$name" "$(jq '.components | length' "$folder/$name.cdx.json")" "$folder/$name.cdx.json"
  done
}

fail() {
  printf 'sbom.sh: %s\n' "$*" >&2
  exit 1
}

# Lines "PROGRAM CRATE VERSION": what is linked into each, with the features that cargo gives the four when it builds them
# together. Procedural macros, build scripts and what tests need run on the builder and are in no program.
linked_crates() {
  local selection=("${programs[@]/#/--package=}")
  cargo tree --locked "${selection[@]}" --target "$target" --edges normal,no-proc-macro --prefix depth --no-dedupe --format ' {p}' |
    awk '$1 == 0 { program = $2 } $1 > 0 { print program, $2, substr($3, 2) }' | sort -u
}

# cargo-cyclonedx writes beside each Cargo.toml, so it gets a copy of the sources.
describe() {
  git ls-files --cached --others --exclude-standard -z Cargo.toml Cargo.lock contracts migrations services tests |
    xargs -0 cp --parents --target-directory="$work"
  (cd "$work" && cargo cyclonedx --quiet --format json --describe binaries --target "$target" --no-build-deps --spec-version 1.5)
}

# program NAME: the description of a program, without what is not linked: cargo-cyclonedx does not know which optional
# dependencies no feature asks for, and has procedural macros in it. The folder that it was made in does not show. The standard library and musl's are the compiler's.
program() {
  grep "^$1 " "$work/linked" | cut -d' ' -f2- | jq --raw-input --slurp 'split("\n") | map(select(. != ""))' >"$work/crates"
  jq --slurpfile crates "$work/crates" --arg folder "$work" --arg rustc "$(rustc --version)" '
    del(.serialNumber)
    | .metadata.properties += [{name: "paysaga:rustc", value: $rustc}]
    | .components |= (map(select("\(.name) \(.version)" as $crate | $crates[0] | index($crate))) | sort_by(."bom-ref"))
    | ([.metadata.component."bom-ref", .components[]."bom-ref"]) as $known
    | .dependencies |= (map(select(.ref as $ref | $known | index($ref)) | .dependsOn |= ((. // []) - ((. // []) - $known) | sort)) | sort_by(.ref))
    | (.. | strings) |= sub($folder; "/paysaga")
  ' "$work/services/$1/$1_bin.cdx.json"
}

# check NAME: its bill has exactly what cargo links.
check() {
  local listed
  listed=$(jq --raw-output --arg name "$1" '.components[] | "\($name) \(.name) \(.version)"' "$work/$1.cdx.json" | sort)
  diff <(grep "^$1 " "$work/linked") <(printf '%s\n' "$listed") >&2 || fail "the bill of $1 is not what is linked (above: < linked, > listed)"
  jq --exit-status '.metadata.component.purl | startswith("pkg:cargo/")' "$work/$1.cdx.json" >/dev/null || fail "the bill of $1 does not name it"
}

# image NAME: the program's bill, with the image around it and the other files in it.
image() {
  local archive=$archives/$1.tar digest layout=$work/layout-$1 layer
  digest=$(skopeo inspect --format '{{.Digest}}' "oci-archive:$archive")
  skopeo copy --quiet "oci-archive:$archive" "dir:$layout"
  layer=$(jq --raw-output '.layers[0].digest | sub("^sha256:"; "")' "$layout/manifest.json")
  local sums=() file sum
  for file in "bin/$1" etc/ssl/certs/ca-bundle.crt; do
    sum=$(tar --extract --gzip --to-stdout --file "$layout/$layer" "$file" | sha256sum)
    sums+=("${sum%% *}")
  done
  jq --arg name "paysaga/$1" --arg digest "$digest" --arg program "${sums[0]}" --arg authorities "${sums[1]}" '
    (.metadata.component | .hashes = [{alg: "SHA-256", content: $program}]) as $program
    | {
        type: "container", "bom-ref": $name, name: $name, version: $program.version,
        purl: "pkg:oci/\($program.name)@\($digest | @uri)",
        hashes: [{alg: "SHA-256", content: ($digest | sub("^sha256:"; ""))}]
      } as $image
    | {
        type: "file", "bom-ref": "etc/ssl/certs/ca-bundle.crt", name: "/etc/ssl/certs/ca-bundle.crt",
        description: "Certificate authorities, as Mozilla has them",
        hashes: [{alg: "SHA-256", content: $authorities}]
      } as $authorities
    | .metadata.component = $image
    | .components = [$program, $authorities] + .components
    | .dependencies = [{ref: $image."bom-ref", dependsOn: [$program."bom-ref", $authorities."bom-ref"]}] + .dependencies
  ' "$work/$1.cdx.json"
}

main
