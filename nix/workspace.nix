# All programs, static, in one derivation: their dependencies are compiled once.
{ lib, pkgs }:
let
  manifest = (lib.importTOML ../Cargo.toml).workspace.package;
  names = builtins.attrNames (import ./programs.nix);
in
pkgs.pkgsStatic.rustPlatform.buildRustPackage {
  pname = "paysaga-workspace";
  inherit (manifest) version;
  src = (import ./source.nix { inherit lib; }).programs;
  # Dependencies are fetched by the checksums in Cargo.lock, so there is no second hash to keep in step with it.
  cargoLock.lockFile = ../Cargo.lock;
  # By name, not --workspace: the tests must not enable features in what is packaged.
  cargoBuildFlags = map (name: "--package=${name}") names;
  strictDeps = true;

  # The tests run natively, in the checks.
  doCheck = false;

  # `strip = true` of Cargo.toml has no effect here: cargo's hook turns it off in favour of this.
  stripAllList = [ "bin" ];

  # A static program must not refer to its compiler.
  disallowedReferences = [ pkgs.stdenv.cc ];

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    for program in ${toString names}; do
      if ''${READELF:-readelf} --program-headers "$out/bin/$program" | grep --quiet INTERP ||
        ''${READELF:-readelf} --dynamic "$out/bin/$program" | grep NEEDED; then
        echo "$program is not static"
        exit 1
      fi
      env -i "$out/bin/$program" --version
    done
    runHook postInstallCheck
  '';

  meta = {
    description = "paysaga's programs, static";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
  };
}
