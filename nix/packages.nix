# nix build .#NAME
{
  self,
  lib,
  pkgs,
  ...
}:
let
  programs = import ./programs.nix;
  dependencies = import ./dependencies.nix { inherit lib pkgs; };

  packages = lib.mapAttrs (
    name: program:
    import ./program.nix {
      inherit lib dependencies name;
      inherit (program) description;
    }
  ) programs;

  images = lib.mapAttrs' (name: package: {
    name = "${name}-image";
    value = import ./image.nix {
      inherit lib pkgs package;
      revision = self.rev or self.dirtyRev or null;
      port = programs.${name}.port or null;
    };
  }) packages;
in
packages
// images
// {
  default = pkgs.symlinkJoin {
    name = "paysaga-all-${packages.paysaga.version}";
    paths = builtins.attrValues packages;
    meta = import ./meta.nix { inherit lib; } // {
      description = "All of paysaga's programs: gateway, order, payment and paysaga";
      mainProgram = "paysaga";
    };
  };
}
// lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") {
  jaeger = import ./jaeger.nix { inherit lib pkgs; };
}
