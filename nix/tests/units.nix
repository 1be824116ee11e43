# The hosts of hosts.nix as what is installed on them: units as text, and the options of NixOS's own modules.
let
  hosts = import ./hosts.nix;
  inherit (hosts) lib;
  render = import ./render.nix { inherit lib; };
  installed = config: {
    units = render config;
    inherit (config.services) rabbitmq postgresql nginx;
    inherit (config.security) sudo;
    inherit (config.users) groups;
    inherit (config.systemd) tmpfiles;
    programs = [ "${config.services.paysaga.operator.package}/bin/paysaga" ];
    commands = map (package: { inherit (package) name script; }) config.environment.systemPackages;
  };
in
lib.mapAttrs (_: installed) (
  {
    bare = hosts.host hosts.everything;
    full = hosts.host hosts.full;
    observed = hosts.host hosts.observed;
    behind = hosts.host hosts.behind;
    upgrading = hosts.host hosts.upgrading;
    upgraded = hosts.host hosts.upgraded;
  }
  // lib.mapAttrs' (
    name: modules: lib.nameValuePair "only-${name}" (hosts.nixos modules)
  ) hosts.several
)
