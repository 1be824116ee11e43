# A NixOS that knows paysaga's modules and what they use of NixOS's own.
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
      "networking"
      "firewall"
    ]
    # What a configuration may say that is none of paysaga's business.
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
