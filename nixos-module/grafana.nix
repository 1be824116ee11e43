# Grafana on this host, with the dashboards and the Prometheus of metrics.nix.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services) prometheus;
  inherit (config.services.paysaga) metrics;
  cfg = metrics.grafana;

  directory = "/var/lib/paysaga-grafana";
  isMadeHere = cfg.adminPasswordFile == null;
  script = pkgs.writeText "paysaga-grafana-secrets.sh" (builtins.readFile ./grafana-secrets.sh);
  making = "paysaga-grafana-secrets.service";
  # Grafana's own way to read a setting from a file. Its user can read neither file: systemd hands it copies.
  secret = name: "$__file{/run/credentials/grafana.service/${name}}";
in
{
  options.services.paysaga.metrics.grafana = {
    enable = lib.mkEnableOption "Grafana on this host, on loopback, with the dashboards of packaging/grafana";

    port = lib.mkOption {
      type = lib.types.port;
      default = 3300;
      description = "Port of its pages, on 127.0.0.1. Its usual one is the gateway's here.";
    };

    adminPasswordFile = lib.mkOption {
      type = lib.types.nullOr lib.types.externalPath;
      default = null;
      example = "/run/secrets/grafana-admin-password";
      description = ''
        File on the target host with the password of its user `admin`, who gets it at the first start of Grafana. Without it, one is made
        on the host: ${directory}/admin-password, readable by root.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    services.grafana = {
      enable = true;
      settings = {
        server = {
          http_addr = lib.mkDefault "127.0.0.1";
          http_port = cfg.port;
        };
        security = {
          admin_password = lib.mkDefault (secret "admin-password");
          # Encrypts what Grafana keeps in its database; it has no default.
          secret_key = lib.mkDefault (secret "secret-key");
        };
        # It would report how it is used, and ask for newer versions.
        analytics = {
          reporting_enabled = lib.mkDefault false;
          check_for_updates = lib.mkDefault false;
        };
      };
      provision = {
        enable = true;
        datasources.settings.datasources = [
          {
            name = "paysaga";
            uid = "paysaga-prometheus";
            type = "prometheus";
            access = "proxy";
            url = "http://127.0.0.1:${toString prometheus.port}";
            isDefault = true;
            jsonData.timeInterval = metrics.scrapeInterval;
          }
        ];
        dashboards.settings.providers = [
          {
            name = "paysaga";
            folder = "paysaga";
            options.path = ../packaging/grafana;
          }
        ];
      };
    };

    systemd.services = {
      grafana = {
        after = [ making ];
        wants = [ making ];
        serviceConfig.LoadCredential = [
          "admin-password:${if isMadeHere then "${directory}/admin-password" else cfg.adminPasswordFile}"
          "secret-key:${directory}/secret-key"
        ];
      };

      paysaga-grafana-secrets = {
        description = "paysaga: the secrets of the Grafana of this host";
        path = [ pkgs.coreutils ];
        serviceConfig = import ./made-once.nix {
          user = "paysaga-grafana";
          inherit directory;
          command = "${pkgs.bash}/bin/bash ${script} secret-key${lib.optionalString isMadeHere " admin-password"}";
        };
      };
    };

    assertions = [
      {
        assertion = metrics.enable;
        message = ''
          services.paysaga.metrics.grafana shows what Prometheus collects, and there is none here. Set
          services.paysaga.metrics.enable = true.
        '';
      }
    ];
  };
}
