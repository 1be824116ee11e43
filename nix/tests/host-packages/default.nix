# As much of nixpkgs' packages as paysaga's Nix files name.
{ system }:
let
  lib = import ./lib.nix;

  programs = import ./programs.nix { inherit system; };

  mkDerivation =
    arguments:
    let
      given = if builtins.isFunction arguments then lib.fix arguments else arguments;
      meta = given.meta or { };
      result = derivation (
        removeAttrs given [
          "meta"
          "passthru"
        ]
        // {
          name = given.name or "${given.pname}-${given.version}";
          inherit system;
          builder = "/bin/bash";
          args = [
            "-e"
            ./stdenv.sh
          ];
          # One that a derivation forgot to name is not found here either.
          inherit (programs) standard;
          nativeBuildInputs = given.nativeBuildInputs or [ ];
        }
      );
    in
    result
    // {
      inherit meta;
      pname = given.pname or result.name;
      version = given.version or "";
    }
    // given.passthru or { };

  stdenv = {
    inherit mkDerivation;
    cc = programs.compiler;
    hostPlatform = {
      inherit system;
    };
  };

  runCommand =
    name: arguments: script:
    mkDerivation (
      arguments
      // {
        inherit name;
        phases = "buildPhase";
        buildPhase = script;
      }
    );

  writeText =
    name: text:
    runCommand name
      {
        inherit text;
        passAsFile = [ "text" ];
      }
      ''
        cp "$textPath" $out
      '';

  cacert = runCommand "cacert" { } ''
    mkdir --parents $out/etc/ssl/certs
    cat /usr/share/ca-certificates/mozilla/*.crt >$out/etc/ssl/certs/ca-bundle.crt
  '';

  rust = import ./rust.nix {
    inherit
      lib
      mkDerivation
      programs
      ;
  };
in
programs
// {
  inherit
    lib
    stdenv
    cacert
    runCommand
    writeText
    ;
  stdenvNoCC = stdenv;
  rustPlatform.buildRustPackage = rust.build null;
  pkgsStatic.rustPlatform.buildRustPackage = rust.build "x86_64-unknown-linux-musl";

  # Jaeger's archive is at GitHub. In its place there is one with the Jaeger that ./dev jaeger has built, else with a program that
  # says where it should have come from.
  fetchurl =
    { url, hash }:
    assert builtins.isString hash;
    runCommand (baseNameOf url) { } ''
      if [ -x /tools/jaeger ]; then
        cp /tools/jaeger jaeger
      else
        printf '#!/bin/sh\necho "this Jaeger was not downloaded from ${url}" >&2\nexit 1\n' >jaeger
        chmod 755 jaeger
      fi
      mkdir archive
      mv jaeger archive
      tar --create --gzip --file=$out archive
    '';

  writeShellApplication =
    {
      name,
      runtimeInputs ? [ ],
      text,
      meta ? { },
    }:
    runCommand name
      {
        inherit text;
        passAsFile = [ "text" ];
        meta = meta // {
          mainProgram = name;
        };
      }
      ''
        mkdir --parents $out/bin
        {
          printf '#!/bin/bash\nset -euo pipefail\nexport PATH=${lib.makeBinPath runtimeInputs}:$PATH\n'
          cat "$textPath"
        } >$out/bin/${name}
        chmod 755 $out/bin/${name}
        bash -n $out/bin/${name}
      '';

  symlinkJoin =
    {
      name,
      paths,
      meta ? { },
    }:
    runCommand name
      {
        inherit paths meta;
      }
      ''
        for path in $paths; do
          (cd $path && find . -type d -exec mkdir --parents $out/{} \;)
          (cd $path && find . ! -type d -exec ln --symbolic $path/{} $out/{} \;)
        done
      '';

  # The paths that these need at run time: Nix writes them before the build.
  closureInfo =
    { rootPaths }:
    runCommand "closure-info"
      {
        exportReferencesGraph = builtins.concatLists (
          lib.imap0 (index: path: [
            "graph-${toString index}"
            path
          ]) rootPaths
        );
      }
      ''
        mkdir $out
        # Each path is followed by its deriver, the number of its references, and these.
        grep --no-filename '^/nix/store/' graph-* | sort --unique >all
        : >$out/store-paths
        for path in $(cat all); do
          if [ -e $path ]; then echo $path >>$out/store-paths; fi
        done
      '';

  mkShell =
    {
      name ? "shell",
      packages,
      meta ? { },
    }:
    runCommand name { inherit packages meta; } "touch $out";

  dockerTools = import ./images.nix {
    inherit
      lib
      cacert
      runCommand
      writeText
      programs
      ;
  };

  # Machines need a NixOS, which nixpkgs alone has.
  testers.runNixOSTest =
    { name, testScript, ... }:
    runCommand "vm-test-${name}" { inherit testScript; } ''
      echo 'machines need NixOS, which only nixpkgs has'
      exit 1
    '';
}
