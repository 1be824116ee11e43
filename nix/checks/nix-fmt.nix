# Formatting of the Nix files, and nothing in them that nobody uses.
{ pkgs, source }:
pkgs.runCommand "paysaga-nix-fmt"
  {
    nativeBuildInputs = [
      pkgs.nixfmt
      pkgs.deadnix
    ];
    meta.description = "Formatting of the Nix files";
  }
  ''
    find ${source.nix} -name '*.nix' -exec nixfmt --check {} +
    deadnix --fail ${source.nix}
    touch $out
  ''
