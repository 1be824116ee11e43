# nix develop: everything that ./dev uses.
{
  self,
  pkgs,
  ...
}:
let
  packages = self.packages.${pkgs.stdenv.hostPlatform.system};
in
{
  default = pkgs.mkShell {
    packages = [
      pkgs.cargo
      pkgs.rustc
      pkgs.clippy
      pkgs.rustfmt
      pkgs.rust-analyzer
      pkgs.cargo-deny
      pkgs.curl
      pkgs.jq
      pkgs.shellcheck
      pkgs.nixfmt
      pkgs.deadnix
    ]
    ++ import ./servers.nix { inherit pkgs packages; };
    meta.description = "Rust, PostgreSQL, RabbitMQ, Jaeger and the linters: what ./dev uses";
  };
}
