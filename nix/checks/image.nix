# The image is small and starts a static program without root.
{
  pkgs,
  image,
  package,
}:
pkgs.runCommand "paysaga-image-${package.pname}"
  {
    nativeBuildInputs = [
      pkgs.file
      pkgs.jq
    ];
    meta.description = "The image of ${package.pname} is small and runs without root";
  }
  ''
    # Room for a program that was built without optimisation, and for no shell or C library beside it.
    [ "$(stat --dereference --format=%s ${image})" -lt 12000000 ]
    mkdir image root
    tar --extract --file=${image} --directory=image
    jq --exit-status '.[0].RepoTags == ["paysaga/${package.pname}:${package.version}"]' image/manifest.json
    config=image/$(jq --raw-output '.[0].Config' image/manifest.json)
    jq --exit-status '.config.User == "65532:65532" and .config.StopSignal == "SIGTERM"' $config
    for layer in $(jq --raw-output '.[0].Layers[]' image/manifest.json); do
      tar --extract --no-same-permissions --file=image/$layer --directory=root
    done
    program=root$(jq --raw-output '.config.Entrypoint[0]' $config)
    file $program | grep -E 'static-pie|statically'
    # Links to absolute paths, which are below the image's root.
    authorities=root/etc/ssl/certs/ca-bundle.crt
    while [ -L $authorities ]; do authorities=root$(readlink $authorities); done
    [ -s $authorities ]
    [ -d root/tmp ]
    [ ! -e root/bin/sh ]
    touch $out
  ''
