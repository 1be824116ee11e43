# Metrics: Prometheus on this host, which scrapes the services of this host, and RabbitMQ if it is local.
{ config, lib, ... }:
let
  inherit (config.services) paysaga;
  cfg = paysaga.metrics;
  addresses = import ./addresses.nix { inherit lib; };
  enabled = import ./enabled.nix { inherit config; };
  localBroker = paysaga.rabbitmq.createLocally && enabled != [ ];
  brokerPort = 15692;

  job = name: path: target: {
    job_name = "paysaga-${name}";
    metrics_path = path;
    scrape_interval = cfg.scrapeInterval;
    static_configs = [ { targets = [ target ]; } ];
  };
  jobOf =
    name:
    let
      service = paysaga.${name};
      path = if name == "gateway" then "/api/metrics" else "/metrics";
    in
    job name path "${addresses.reachable service.listenAddress}:${toString service.port}";
in
{
  options.services.paysaga.metrics = {
    enable = lib.mkEnableOption "Prometheus on this host, on loopback, with a scrape job for each service of this host";

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
      scrapeConfigs =
        map jobOf enabled
        ++ lib.optional localBroker (job "rabbitmq" "/metrics" "127.0.0.1:${toString brokerPort}");
    };

    services.rabbitmq = lib.mkIf localBroker {
      plugins = [ "rabbitmq_prometheus" ];
      configItems = {
        "prometheus.tcp.ip" = "127.0.0.1";
        "prometheus.tcp.port" = toString brokerPort;
      };
    };

    assertions = [
      {
        # The gateway exports its metrics without a key to loopback only, and Prometheus would connect from another address.
        assertion =
          let
            gateway = paysaga.gateway.listenAddress or "127.0.0.1";
          in
          !(builtins.elem "gateway" enabled)
          || addresses.isLoopback gateway
          || addresses.isEverywhere gateway;
        message = ''
          services.paysaga.metrics can't scrape a gateway that listens on one address of the network only, because metrics
          are exported without a key to loopback only. Let it listen on 0.0.0.0 or ::, behind the firewall.
        '';
      }
    ];
  };
}
