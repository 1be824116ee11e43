# lib.nixosSystem: the configuration, with its units as text.
{ lib }:
{ modules }:
let
  inherit (import ./nixos.nix { inherit lib; } modules) config;
  units = import ../render.nix { inherit lib; } config;
in
{
  config = config // {
    systemd = config.systemd // {
      units = builtins.mapAttrs (_: text: { inherit text; }) units;
    };
  };
}
