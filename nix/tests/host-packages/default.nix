# As much of nixpkgs' packages as paysaga's Nix files name.
{ system }:
let
  lib = import ./lib.nix;

  # Derivations run in bash with `stdenv.sh`. On their PATH are the programs that every stdenv of nixpkgs has, and those of
  # the packages that they name: one that was forgotten is not found here either.
  standard = link "standard-programs" "/usr/bin" [
    "bash"
    "sh"
    "awk"
    "bzip2"
    "cmp"
    "diff"
    "find"
    "xargs"
    "grep"
    "egrep"
    "fgrep"
    "gzip"
    "gunzip"
    "make"
    "patch"
    "sed"
    "tar"
    "xz"
    # coreutils
    "base64"
    "basename"
    "cat"
    "chmod"
    "chown"
    "comm"
    "cp"
    "cut"
    "date"
    "dirname"
    "echo"
    "env"
    "expr"
    "false"
    "head"
    "id"
    "install"
    "join"
    "ln"
    "ls"
    "md5sum"
    "mkdir"
    "mkfifo"
    "mktemp"
    "mv"
    "nproc"
    "od"
    "paste"
    "pwd"
    "readlink"
    "realpath"
    "rm"
    "rmdir"
    "seq"
    "sha256sum"
    "sleep"
    "sort"
    "split"
    "stat"
    "tail"
    "tee"
    "test"
    "timeout"
    "touch"
    "tr"
    "true"
    "truncate"
    "tty"
    "uname"
    "uniq"
    "wc"
    "whoami"
    "yes"
  ];
  # Of glibc and binutils, with the compiler.
  compiler = link "gcc" "/usr/bin" [
    "ar"
    "as"
    "cc"
    "gcc"
    # What musl-gcc calls.
    "x86_64-linux-gnu-gcc"
    "g++"
    "c++"
    "ld"
    "musl-gcc"
    "nm"
    "objcopy"
    "objdump"
    "ranlib"
    "readelf"
    "strip"
    "getconf"
    "ldd"
  ];

  # Links to programs of the host. Those that the host lacks are missing, as if the package had none.
  link =
    name: folder: programs:
    derivation {
      inherit name system;
      builder = "/bin/sh";
      args = [
        "-c"
        ''
          /usr/bin/mkdir --parents $out/bin
          for program in $programs; do
            if [ -e $folder/$program ]; then /usr/bin/ln --symbolic $folder/$program $out/bin/$program; fi
          done
        ''
      ];
      inherit folder programs;
    };
  everythingIn =
    name: folder:
    derivation {
      inherit name system;
      builder = "/bin/sh";
      args = [
        "-c"
        "/usr/bin/mkdir --parents $out/bin; for program in ${folder}/*; do /usr/bin/ln --symbolic $program $out/bin/; done"
      ];
    };

  package =
    derivation:
    derivation
    // {
      meta = {
        mainProgram = derivation.name;
      };
    };
  programs =
    builtins.mapAttrs (name: value: package (link name (builtins.head value) (builtins.tail value)))
      {
        curl = [
          "/usr/bin"
          "curl"
        ];
        file = [
          "/usr/bin"
          "file"
        ];
        jq = [
          "/usr/bin"
          "jq"
        ];
        bubblewrap = [
          "/usr/bin"
          "bwrap"
        ];
        gnused = [
          "/usr/bin"
          "sed"
        ];
        netcat = [
          "/usr/bin"
          "nc"
        ];
        util-linux = [
          "/usr/bin"
          "setpriv"
          "unshare"
          "mount"
        ];
        systemd = [
          "/usr/bin"
          "systemd-analyze"
        ];
        shellcheck = [
          "/usr/bin"
          "shellcheck"
        ];
        # ./dev nix puts what cargo has installed here.
        deadnix = [
          "/tools"
          "deadnix"
        ];
        nixfmt = [
          "/tools"
          "nixfmt"
        ];
        nixfmt-tree = [
          "/tools"
          "nixfmt"
        ];
        cargo-deny = [
          "/tools"
          "cargo-deny"
        ];
        # The toolchain of rustup.
        cargo = [
          "/rust/bin"
          "cargo"
        ];
        clippy = [
          "/rust/bin"
          "cargo-clippy"
          "clippy-driver"
        ];
        rust-analyzer = [
          "/rust/bin"
          "rust-analyzer"
        ];
        rustc = [
          "/rust/bin"
          "rustc"
          "rustdoc"
        ];
        rustfmt = [
          "/rust/bin"
          "cargo-fmt"
          "rustfmt"
        ];
      };

  bash = package (link "bash" "/usr/bin" [ "bash" ]);
  coreutils = standard;
  postgresql = everythingIn "postgresql" "/usr/lib/postgresql/17/bin";
  rabbitmq-server = everythingIn "rabbitmq-server" "/usr/lib/rabbitmq/bin";
  beam27Packages.erlang = everythingIn "erlang" "/usr/lib/erlang/bin";

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
          inherit standard;
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
    cc = compiler;
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
      compiler
      programs
      ;
  };
in
programs
// {
  inherit
    lib
    stdenv
    bash
    coreutils
    postgresql
    rabbitmq-server
    beam27Packages
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
