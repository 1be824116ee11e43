# Formatting and unused code in the Nix files.
{ pkgs, source }:
pkgs.runCommand "paysaga-nix-fmt"
  {
    nativeBuildInputs = [
      pkgs.nixfmt
      pkgs.deadnix
    ];
    meta.description = "Formatting and unused code in the Nix files";
  }
  ''
    find ${source.nix} -name '*.nix' -exec nixfmt --check {} +
    deadnix --fail ${source.nix}
    touch $out
  ''
