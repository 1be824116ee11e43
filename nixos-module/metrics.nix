# Metrics: Prometheus on this host, which scrapes the services of this host, and RabbitMQ if it is local.
{ config, lib, ... }:
let
  inherit (config.services) paysaga;
  cfg = paysaga.metrics;
  addresses = import ./addresses.nix { inherit lib; };
  enabled = import ./enabled.nix { inherit config; };
  localBroker = paysaga.rabbitmq.createLocally && enabled != [ ];
  brokerPort = 15692;

  job = name: target: {
    job_name = "paysaga-${name}";
    scrape_interval = cfg.scrapeInterval;
    static_configs = [ { targets = [ target ]; } ];
  };
  jobOf =
    name:
    let
      service = paysaga.${name};
    in
    job name "${addresses.reachable service.managementAddress}:${toString service.managementPort}";
in
{
  options.services.paysaga.metrics = {
    enable = lib.mkEnableOption "Prometheus on this host, on loopback, with a scrape job for each service of this host and the alerts of docs/RUNBOOK.md";

    scrapeInterval = lib.mkOption {
      type = lib.types.str;
      default = "15s";
      description = "How often the services are scraped.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.prometheus = {
      enable = true;
      listenAddress = lib.mkDefault "127.0.0.1";
      # docs/RUNBOOK.md has a section for each alert.
      ruleFiles = [ ../packaging/prometheus/alerts.yaml ];
      scrapeConfigs =
        map jobOf enabled ++ lib.optional localBroker (job "rabbitmq" "127.0.0.1:${toString brokerPort}");
    };

    services.rabbitmq = lib.mkIf localBroker {
      plugins = [ "rabbitmq_prometheus" ];
      configItems = {
        "prometheus.tcp.ip" = "127.0.0.1";
        "prometheus.tcp.port" = toString brokerPort;
      };
    };
  };
}
