# dockerTools: an archive as `docker load` takes it, with the closure of what the image starts and contains in one layer.
{
  lib,
  cacert,
  runCommand,
  writeText,
  programs,
}:
{
  # A link into the store, as nixpkgs has it.
  caCertificates = runCommand "ca-certificates" { } ''
    mkdir --parents $out/etc/ssl/certs
    ln --symbolic ${cacert}/etc/ssl/certs/ca-bundle.crt $out/etc/ssl/certs/ca-bundle.crt
  '';

  buildLayeredImage =
    {
      name,
      tag,
      contents,
      extraCommands,
      config,
    }:
    let
      description = writeText "config.json" (
        builtins.toJSON {
          architecture = "amd64";
          os = "linux";
          created = "1970-01-01T00:00:01Z";
          inherit config;
        }
      );
    in
    runCommand "${builtins.baseNameOf name}.tar.gz"
      {
        nativeBuildInputs = [ programs.jq ];
        exportReferencesGraph = [
          "graph"
          description
        ]
        ++ lib.concatMap (path: [
          "graph-${path.name}"
          path
        ]) contents;
        inherit contents;
      }
      ''
        mkdir root image
        for path in $(grep --no-filename '^/nix/store/' graph* | sort --unique); do
          if [ $path != ${description} ] && [ -e $path ]; then
            mkdir --parents root/nix/store
            cp --recursive $path root/nix/store/
          fi
        done
        for path in $contents; do
          (cd $path && find . -type d -exec mkdir --parents $NIX_BUILD_TOP/root/{} \;)
          (cd $path && find . -type f -exec ln --symbolic $path/{} $NIX_BUILD_TOP/root/{} \;)
          (cd $path && find . -type l -exec cp --no-dereference {} $NIX_BUILD_TOP/root/{} \;)
        done
        (cd root && chmod u+w . && ${extraCommands})
        tar --create --file=layer.tar --sort=name --mtime=@1 --owner=0 --group=0 --numeric-owner --directory=root .
        digest=$(sha256sum layer.tar | cut --delimiter=' ' --fields=1)
        mkdir image/$digest
        mv layer.tar image/$digest/layer.tar
        jq --arg digest "sha256:$digest" '. + {rootfs: {type: "layers", diff_ids: [$digest]}}' ${description} >image/config.json
        jq --null-input --arg layer $digest/layer.tar \
          '[{Config: "config.json", RepoTags: ["${name}:${tag}"], Layers: [$layer]}]' >image/manifest.json
        tar --create --gzip --file=$out --sort=name --mtime=@1 --owner=0 --group=0 --numeric-owner --directory=image .
      '';
}
