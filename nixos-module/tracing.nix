# Traces: where the services export them, how many, and a Jaeger to show them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.paysaga.tracing;
  enabled = import ./enabled.nix { inherit config; };
  environment = import ./environment.nix { inherit lib; };
  otlpPort = 4318;

  # Jaeger 2 is an OpenTelemetry collector with a query service. YAML holds JSON.
  configuration = pkgs.writeText "paysaga-jaeger.yaml" (
    builtins.toJSON {
      service = {
        extensions = [
          "jaeger_storage"
          "jaeger_query"
        ];
        pipelines.traces = {
          receivers = [ "otlp" ];
          processors = [ "batch" ];
          exporters = [ "jaeger_storage_exporter" ];
        };
        # Its own metrics would need another port.
        telemetry.metrics.level = "none";
      };
      extensions = {
        jaeger_storage.backends.memory.memory.max_traces = cfg.jaeger.maxTraces;
        jaeger_query = {
          storage.traces = "memory";
          http.endpoint = "127.0.0.1:${toString cfg.jaeger.port}";
          # Not used; any free port.
          grpc.endpoint = "127.0.0.1:0";
        };
      };
      receivers.otlp.protocols.http.endpoint = "127.0.0.1:${toString otlpPort}";
      processors.batch = { };
      exporters.jaeger_storage_exporter.trace_storage = "memory";
    }
  );
in
{
  options.services.paysaga.tracing = {
    enable = lib.mkEnableOption "a trace for every saga, sent by OTLP over HTTP";

    endpoint = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = if cfg.jaeger.enable then "http://127.0.0.1:${toString otlpPort}" else null;
      defaultText = lib.literalMD "the Jaeger of this host, if it is enabled";
      example = "http://collector.internal:4318";
      description = ''
        Where the services send traces (OTEL_EXPORTER_OTLP_ENDPOINT). A backend that requires a password is best reached
        through a collector on this host.
      '';
    };

    sampling = lib.mkOption {
      type = lib.types.numbers.between 0 1;
      default = 1;
      example = 0.1;
      description = "The share of sagas that are traced. For a request that is traced already, its caller decides.";
    };

    jaeger = {
      enable = lib.mkEnableOption "Jaeger on this host, which keeps traces in memory and shows them on loopback";

      package = lib.mkOption {
        type = lib.types.package;
        defaultText = lib.literalMD "the flake's `jaeger`";
        description = "Package with the program `bin/jaeger`, generation 2.";
      };

      port = lib.mkOption {
        type = lib.types.port;
        default = 16686;
        description = "Port of its pages and its API, on 127.0.0.1.";
      };

      maxTraces = lib.mkOption {
        type = lib.types.ints.positive;
        default = 100000;
        description = "How many traces it keeps; the oldest are dropped first.";
      };
    };
  };

  config = lib.mkMerge [
    (lib.mkIf cfg.enable {
      systemd.services = lib.genAttrs (map (name: "paysaga-${name}") enabled) (_: {
        environment = lib.mapAttrs (_: lib.mkDefault) (
          environment.fromSettings {
            OTEL_EXPORTER_OTLP_ENDPOINT = toString cfg.endpoint;
            OTEL_TRACES_SAMPLER = "parentbased_traceidratio";
            OTEL_TRACES_SAMPLER_ARG = cfg.sampling;
          }
          # One host, one clock: without these Jaeger takes the services for those of different hosts, and warns of clock skew.
          // lib.optionalAttrs cfg.jaeger.enable {
            OTEL_RESOURCE_ATTRIBUTES = "ip=127.0.0.1,host.ip=127.0.0.1";
          }
        );
      });
    })

    (lib.mkIf cfg.jaeger.enable {
      systemd.services.paysaga-jaeger = {
        description = "paysaga: Jaeger, where the traces of the sagas can be seen";
        wantedBy = [ "multi-user.target" ];
        after = [ "network.target" ];
        # Otherwise it traces itself.
        environment.OTEL_TRACES_SAMPLER = "always_off";
        serviceConfig = import ./hardening.nix // {
          ExecStart = "${cfg.jaeger.package}/bin/jaeger --config=file:${configuration}";
          User = "paysaga-jaeger";
          Type = "exec";
          Restart = "on-failure";
          RestartSec = 2;
        };
      };
    })

    {
      assertions = [
        {
          assertion = cfg.enable -> cfg.endpoint != null;
          message = ''
            services.paysaga.tracing is enabled without an endpoint. Set services.paysaga.tracing.endpoint =
            "http://…:4318", or enable Jaeger here: services.paysaga.tracing.jaeger.enable = true.
          '';
        }
        {
          assertion = cfg.jaeger.enable -> cfg.enable;
          message = ''
            services.paysaga.tracing.jaeger is enabled, but no service sends traces. Set
            services.paysaga.tracing.enable = true.
          '';
        }
      ];
    }
  ];
}
