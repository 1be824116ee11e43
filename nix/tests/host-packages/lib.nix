# The stand-in for nixpkgs' lib, with sources that are really copied.
let
  lib = import ../stand-in/lib.nix;
in
lib
// {
  fileset = import ./fileset.nix { inherit lib; };
  nixosSystem =
    { modules }:
    let
      inherit (import ../stand-in/nixos.nix { inherit lib; } modules) config;
      units = import ../render.nix { inherit lib; } config;
    in
    {
      config = config // {
        # Not a system: its units.
        system.build.toplevel = derivation {
          name = "units";
          system = "x86_64-linux";
          builder = "/bin/sh";
          args = [
            "-c"
            "echo \"$units\" >$out"
          ];
          units = builtins.toJSON units;
        };
        systemd = config.systemd // {
          units = builtins.mapAttrs (_: text: { inherit text; }) units;
        };
      };
    };
}
