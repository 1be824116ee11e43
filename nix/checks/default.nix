# nix flake check
{
  self,
  lib,
  pkgs,
  ...
}:
let
  packages = self.packages.${pkgs.stdenv.hostPlatform.system};
  programs = builtins.attrNames (import ../programs.nix);
  source = import ../source.nix { inherit lib; };
  rust = import ./rust.nix {
    inherit
      lib
      pkgs
      packages
      source
      ;
  };
  each =
    prefix: check:
    lib.listToAttrs (map (name: lib.nameValuePair "${prefix}-${name}" (check name)) programs);
in
{
  inherit (rust) fmt clippy tests;
  nix-fmt = import ./nix-fmt.nix { inherit pkgs source; };
  module = import ./module.nix { inherit self lib pkgs; };
}
// each "static" (
  name:
  import ./static.nix {
    inherit pkgs;
    package = packages.${name};
  }
)
// each "image" (
  name:
  import ./image.nix {
    inherit pkgs;
    image = packages."${name}-image";
    package = packages.${name};
  }
)
