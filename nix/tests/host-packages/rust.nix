# rustPlatform.buildRustPackage, with the host's toolchain. It optimises nothing: what is delivered is built by nixpkgs, or by
# ./dev static; here it is to be built soon.
{
  lib,
  mkDerivation,
  programs,
}:
let
  # Every crate of the lock, with its checksum verified. ./dev nix shows cargo's downloads to the sandbox as /crates.
  vendor =
    lockFile:
    let
      lock = builtins.fromTOML (builtins.readFile lockFile);
      crates = builtins.filter (package: package ? checksum) lock.package;
    in
    mkDerivation {
      name = "cargo-vendor-dir";
      list = lib.concatMapStringsSep "\n" (
        package: "${package.checksum} ${package.name}-${package.version}"
      ) crates;
      passAsFile = [ "list" ];
      phases = "installPhase";
      installPhase = ''
        mkdir $out
        while read -r checksum crate; do
          [ -e /crates/$crate.crate ] || { echo "/crates lacks $crate: cargo fetch"; exit 1; }
          echo "$checksum  /crates/$crate.crate" | sha256sum --check --quiet
          tar --extract --gzip --file=/crates/$crate.crate --directory=$out
          printf '{"files":{},"package":"%s"}' $checksum >$out/$crate/.cargo-checksum.json
        done < <(cat "$listPath" && echo)
      '';
    };
in
{
  # build TARGET: for the host, or for another target.
  build =
    target:
    {
      cargoLock,
      cargoBuildFlags ? [ ],
      strictDeps,
      auditable ? true,
      doCheck,
      nativeBuildInputs ? [ ],
      ...
    }@arguments:
    assert strictDeps && !doCheck && builtins.isBool auditable;
    let
      folder = if target == null then "target/release" else "target/${target}/release";
    in
    mkDerivation (
      removeAttrs arguments [
        "cargoLock"
        "strictDeps"
        "auditable"
        "doCheck"
      ]
      // {
        cargoDeps = vendor cargoLock.lockFile;
        nativeBuildInputs = nativeBuildInputs ++ [
          programs.cargo
          programs.rustc
          programs.compiler
        ];
        CARGO_NET_OFFLINE = "true";
        CC_x86_64_unknown_linux_musl = "musl-gcc";
        CARGO_PROFILE_DEV_DEBUG = "none";
        CARGO_PROFILE_RELEASE_OPT_LEVEL = "0";
        CARGO_PROFILE_RELEASE_LTO = "off";
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS = "256";
        # As cargoBuildHook does.
        CARGO_PROFILE_RELEASE_STRIP = "false";
        # Writable copies, as cargoSetupHook makes them: newer than anything in the store.
        configurePhase = ''
          cp --recursive --no-preserve=timestamps $cargoDeps $NIX_BUILD_TOP/cargo-vendor-dir
          chmod --recursive u+w $NIX_BUILD_TOP/cargo-vendor-dir
          mkdir --parents .cargo
          {
            printf '[source.crates-io]\nreplace-with = "vendored-sources"\n'
            printf '[source.vendored-sources]\ndirectory = "%s"\n' $NIX_BUILD_TOP/cargo-vendor-dir
          } >.cargo/config.toml
          export CARGO_HOME=$NIX_BUILD_TOP/cargo-home
        '';
        buildPhase =
          arguments.buildPhase or ''
            runHook preBuild
            cargo build --offline --profile release ${
              if target == null then "" else "--target ${target}"
            } ${toString cargoBuildFlags}
            runHook postBuild
          '';
        installPhase =
          arguments.installPhase or ''
            for program in $(find ${folder} -maxdepth 1 -type f -executable); do
              install -D --mode=755 $program $out/bin/$(basename $program)
            done
          '';
      }
    );
}
