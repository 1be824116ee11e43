# A NixOS of paysaga's modules and of the options of NixOS that they use: { config, options }.
{ lib }:
modules:
lib.evalModules {
  modules = [
    {
      services.rabbitmq.port = lib.mkDefault 5672;
      services.postgresql.settings.port = lib.mkDefault 5432;
      services.prometheus.port = lib.mkDefault 9090;
      # The boot test runs these, at the paths of Debian.
      services.postgresql.finalPackage = lib.mkDefault { outPath = "/usr"; };
      services.postgresql.dataDir = lib.mkDefault "/var/lib/postgresql/17";
      systemd.package = lib.mkDefault { outPath = "/usr"; };
      environment.systemPackages = [ ];
      security.wrapperDir = lib.mkDefault "/usr/bin";
      security.sudo.enable = lib.mkDefault true;
      security.sudo-rs.enable = lib.mkDefault false;
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
      "services"
      "grafana"
    ]
    [
      "services"
      "nginx"
    ]
    [
      "services"
      "caddy"
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
      "systemd"
      "package"
    ]
    [
      "systemd"
      "timers"
    ]
    [
      "systemd"
      "tmpfiles"
    ]
    [
      "security"
      "acme"
    ]
    [
      "security"
      "sudo"
    ]
    [
      "security"
      "sudo-rs"
    ]
    [
      "security"
      "wrapperDir"
    ]
    [
      "users"
      "groups"
    ]
    [
      "users"
      "users"
    ]
    [ "environment" ]
    [
      "networking"
      "firewall"
    ]
    # What else a configuration may define; paysaga's modules don't.
    [ "boot" ]
    [ "fileSystems" ]
    [ "nixpkgs" ]
    [ "system" ]
    [ "virtualisation" ]
    [ "assertions" ]
    [ "warnings" ]
  ];
}
