# A NixOS of paysaga's modules and of the options of NixOS that they use: { config, options }.
{ lib }:
modules:
lib.evalModules {
  modules = [
    {
      services.rabbitmq.port = lib.mkDefault 5672;
      services.postgresql.settings.port = lib.mkDefault 5432;
      networking.firewall.enable = lib.mkDefault true;
    }
  ]
  ++ modules;
  arguments = {
    inherit lib;
    pkgs = import ./pkgs.nix {
      inherit lib;
      system = "x86_64-linux";
    };
  };
  sections = [
    [
      "services"
      "rabbitmq"
    ]
    [
      "services"
      "postgresql"
    ]
    [
      "services"
      "prometheus"
    ]
    [
      "systemd"
      "services"
    ]
    [
      "systemd"
      "paths"
    ]
    [
      "networking"
      "firewall"
    ]
    # What else a configuration may define; paysaga's modules don't.
    [ "boot" ]
    [ "environment" ]
    [ "fileSystems" ]
    [ "nixpkgs" ]
    [ "system" ]
    [ "virtualisation" ]
    [ "assertions" ]
    [ "warnings" ]
  ];
}
