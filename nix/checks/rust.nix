# Formatting, lints and tests of the workspace, natively.
{
  lib,
  pkgs,
  packages,
  source,
}:
let
  manifest = (lib.importTOML ../../Cargo.toml).workspace.package;
  cargo =
    name: description: arguments:
    pkgs.rustPlatform.buildRustPackage (
      {
        pname = "paysaga-${name}";
        inherit (manifest) version;
        src = source.all;
        cargoLock.lockFile = ../../Cargo.lock;
        strictDeps = true;
        auditable = false;
        dontCargoBuild = true;
        doCheck = false;
        installPhase = "touch $out";
        meta = { inherit description; };
      }
      // arguments
    );
in
{
  fmt =
    pkgs.runCommand "paysaga-fmt"
      {
        nativeBuildInputs = [
          pkgs.cargo
          pkgs.rustfmt
        ];
        meta.description = "Formatting of the Rust sources";
      }
      ''
        cp --recursive ${source.all} source
        chmod --recursive u+w source
        cd source
        cargo fmt --all --check
        touch $out
      '';

  clippy = cargo "clippy" "Lints of the Rust sources" {
    nativeBuildInputs = [ pkgs.clippy ];
    buildPhase = "cargo clippy --workspace --all-targets --locked --offline -- -D warnings";
  };

  # Every test, against a real PostgreSQL and a real RabbitMQ, which the tests start themselves.
  tests = cargo "tests" "Every test, against real servers" {
    nativeBuildInputs = [ pkgs.curl ] ++ import ../servers.nix { inherit pkgs packages; };
    buildPhase = ''
      export HOME=$TMPDIR
      patchShebangs packaging
      cargo build --workspace --bins --locked --offline
      cargo test --workspace --locked --offline --no-fail-fast
    '';
  };
}
