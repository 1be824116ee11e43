# Formatting, lints and tests of the workspace, natively.
{
  lib,
  pkgs,
  packages,
  source,
}:
let
  dependencies = import ../dependencies.nix { inherit lib pkgs; };
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

  clippy = dependencies.runNative {
    pname = "paysaga-clippy";
    nativeBuildInputs = [ pkgs.clippy ];
    buildPhase = "cargo clippy --workspace --all-targets --locked --offline -- -D warnings";
    meta.description = "Lints of the Rust sources";
  };

  # Every test, against a real PostgreSQL and a real RabbitMQ, which the tests start themselves.
  tests = dependencies.runNative {
    pname = "paysaga-tests";
    nativeBuildInputs = [ pkgs.curl ] ++ import ../servers.nix { inherit pkgs packages; };
    buildPhase = ''
      export HOME=$TMPDIR
      # The tests' HTTP client does not start without authorities, whatever it is used for.
      export SSL_CERT_FILE=${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt
      patchShebangs packaging
      cargo build --workspace --bins --locked --offline
      cargo test --workspace --locked --offline --no-fail-fast
    '';
    meta.description = "Every test, against real servers";
  };
}
