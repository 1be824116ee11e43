# What the workspace depends on, compiled once: for the programs, and natively for lints and tests. A change of a source leaves
# it as it is; a change of a manifest or of the lock does not.
#
# Cargo compiles the workspace with empty sources, and its target folder is what is kept. Whatever is built from the same
# manifests with the same commands finds its dependencies there (`reuse`).
{ lib, pkgs }:
let
  manifest = (lib.importTOML ../Cargo.toml).workspace.package;
  source = import ./source.nix { inherit lib; };
  crates = import ./crates.nix { inherit lib; };
  programs = builtins.attrNames (import ./programs.nix);

  # A crate whose source is not in the source of this build is a library without content.
  complete = lib.concatMapStringsSep "\n" (
    name:
    let
      directory = lib.removePrefix "${toString ../.}/" (toString crates.directories.${name});
    in
    ''
      if [ ! -e ${directory}/src ]; then
        mkdir ${directory}/src
        echo '//! Not part of this build.' >${directory}/src/lib.rs
      fi
    ''
  ) crates.names;

  common = {
    inherit (manifest) version;
    # Dependencies are fetched by the checksums in Cargo.lock, so there is no second hash to keep in step with it.
    cargoLock.lockFile = ../Cargo.lock;
    strictDeps = true;
    # The tests run natively, in the checks.
    doCheck = false;
  };

  keep = ''
    runHook preInstall
    # The empty crates are not to be taken for the real ones. The hook that collects programs leaves copies.
    find target \( ${
      lib.concatMapStringsSep " -o " (
        name:
        let
          file = builtins.replaceStrings [ "-" ] [ "_" ] name;
        in
        "-path '*/.fingerprint/${name}-*' -o -name 'lib${file}-*' -o -name '${file}-*' -o -name 'lib${file}.*'"
      ) crates.names
    } -o -name '*-tmp' -o -name incremental \) -prune -exec rm --recursive --force {} +
    mv target $out
    runHook postInstall
  '';

  compiled =
    arguments:
    common
    // {
      src = source.manifests;
      preBuild = complete;
      installPhase = keep;
      # They are parts of programs, not programs.
      dontFixup = true;
    }
    // arguments;

  # Cargo compares times: what was compiled must not be older than its sources, nor a part of it newer than another.
  reuse = compiledDependencies: ''
    ${complete}
    cp --recursive --no-preserve=timestamps ${compiledDependencies} target
    chmod --recursive u+w target
    touch now
    find target -type f -exec touch --reference=now {} +
    rm now
  '';

  static = pkgs.pkgsStatic.rustPlatform.buildRustPackage (compiled {
    pname = "paysaga-dependencies";
    # By name, not --workspace: the tests must not enable features in what is packaged. All of them, whichever is wanted:
    # then they have the same features of their dependencies.
    cargoBuildFlags = map (name: "--package=${name}") programs;
    meta.description = "What paysaga's programs depend on, compiled";
  });

  native = pkgs.rustPlatform.buildRustPackage (compiled {
    pname = "paysaga-dependencies-native";
    auditable = false;
    nativeBuildInputs = [ pkgs.clippy ];
    buildPhase = ''
      runHook preBuild
      cargo clippy --workspace --all-targets --locked --offline
      cargo build --workspace --bins --locked --offline
      cargo test --workspace --locked --offline --no-run
    '';
    meta.description = "What paysaga's lints and tests depend on, compiled";
  });
in
{
  inherit static native;

  # One of the programs, statically linked.
  buildStatic =
    arguments:
    pkgs.pkgsStatic.rustPlatform.buildRustPackage (
      common
      // {
        inherit (static) cargoBuildFlags;
        preBuild = reuse static;
        passthru.dependencies = static;
      }
      // arguments
    );

  # A command of cargo on the whole workspace, for what it says and not for what it makes.
  runNative =
    { buildPhase, ... }@arguments:
    pkgs.rustPlatform.buildRustPackage (
      common
      // {
        src = source.all;
        auditable = false;
        preBuild = reuse native;
        passthru.dependencies = native;
        installPhase = "touch $out";
      }
      // arguments
      // {
        buildPhase = ''
          runHook preBuild
          ${buildPhase}
        '';
      }
    );
}
