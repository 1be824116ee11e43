# nix build .#NAME
{ lib, pkgs, ... }:
let
  programs = import ./programs.nix;
  workspace = import ./workspace.nix { inherit lib pkgs; };

  packages = lib.mapAttrs (
    name: program:
    import ./program.nix {
      inherit pkgs workspace name;
      inherit (program) description;
    }
  ) programs;

  images = lib.mapAttrs' (name: package: {
    name = "${name}-image";
    value = import ./image.nix {
      inherit lib pkgs package;
      port = programs.${name}.port or null;
    };
  }) packages;
in
packages
// images
// {
  default = pkgs.symlinkJoin {
    name = "paysaga-all-${workspace.version}";
    paths = builtins.attrValues packages;
    meta = {
      description = "All of paysaga's programs: gateway, order, payment and paysaga";
      mainProgram = "paysaga";
      inherit (workspace.meta) license platforms;
    };
  };
}
// lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") {
  jaeger = import ./jaeger.nix { inherit lib pkgs; };
}
