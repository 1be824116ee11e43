# Hosts for the tests: the flake's own modules, evaluated by the stand-in for NixOS.
let
  lib = import ./stand-in/lib.nix;
  evaluated = import ./stand-in/nixos.nix { inherit lib; };
  nixos = modules: (evaluated modules).config;
  flake = import ./flake.nix;

  host =
    configuration:
    nixos [
      flake.nixosModules.default
      configuration
    ];
in
rec {
  inherit lib;

  # The messages of the assertions that fail.
  failuresOf =
    modules:
    map (assertion: assertion.message) (
      builtins.filter (assertion: !assertion.assertion) (nixos modules).assertions
    );
  failures =
    configuration:
    failuresOf [
      flake.nixosModules.default
      configuration
    ];
  # Whether exactly one assertion fails, and its message contains these words.
  isRefused = configuration: isOneWith (failures configuration);
  isOneWith =
    messages: words:
    builtins.length messages == 1
    && builtins.all (word: lib.hasInfix word (builtins.head messages)) words;
  isRefusedOutright =
    configuration: !(builtins.tryEval (builtins.deepSeq (host configuration).systemd true)).success;

  everything = {
    services.paysaga = {
      gateway.enable = true;
      order.enable = true;
      payment.enable = true;
    };
  };
  # The same, with other settings of one service.
  everythingWith = name: settings: {
    services.paysaga = everything.services.paysaga // {
      ${name} = {
        enable = true;
      }
      // settings;
    };
  };

  # Everything, and every option that changes a unit.
  full = {
    services.paysaga = {
      gateway = {
        enable = true;
        listenAddress = "0.0.0.0";
        openFirewall = true;
        # A proxy with TLS is in front of it.
        settings.ALLOW_PLAINTEXT = "http";
      };
      order = {
        enable = true;
        # Percent-encoded, as the OpenTelemetry specification requires.
        settings.OTEL_RESOURCE_ATTRIBUTES = "deployment.environment.name=boot%20test";
      };
      payment = {
        enable = true;
        settings.PROVIDER_LATENCY_MS = 10;
      };
      tracing = {
        enable = true;
        sampling = 0.5;
        jaeger.enable = true;
      };
      metrics.enable = true;
      operator.enable = true;
      backup = {
        enable = true;
        keep = 2;
      };
    };
  };

  # Dashboards for what Prometheus collects.
  observed = {
    imports = [ everything ];
    services.paysaga.metrics = {
      enable = true;
      grafana.enable = true;
    };
  };

  # A proxy in front of the gateway.
  behind = {
    imports = [ everything ];
    services.paysaga.gateway = {
      virtualHost = "shop.example.com";
      port = 4040;
    };
  };

  # The full host of an earlier version, upgraded as docs/DEPLOY.md has it ("Upgrading, and going back").
  upgraded = {
    imports = [ full ];
    services.paysaga = {
      gateway.credentials.API_KEYS = "/etc/paysaga/api-keys";
      order.settings.DEFAULT_OWNER = "shop";
      payment.settings.DEFAULT_OWNER = "shop";
    };
  };
  # The same while there may be messages of the earlier version.
  upgrading = {
    imports = [ upgraded ];
    services.paysaga = {
      order.settings.VERIFY_PUBLISHERS = "off";
      payment.settings.VERIFY_PUBLISHERS = "off";
    };
  };

  # One service a host; RabbitMQ and PostgreSQL are remote.
  several =
    let
      remote = name: {
        services.paysaga = {
          rabbitmq.createLocally = false;
          ${name} = {
            enable = true;
            credentials = {
              RABBITMQ_URL = "/run/secrets/rabbitmq-url";
              TLS_CERTIFICATE = "/run/secrets/${name}.pem";
              TLS_KEY = "/run/secrets/${name}-key.pem";
              TLS_CA = "/run/secrets/ca.pem";
            };
          };
        };
      };
      database = name: {
        services.paysaga = {
          postgresql.createLocally = false;
          ${name} = {
            listenAddress = "10.0.0.2";
            credentials.DATABASE_URL = "/run/secrets/database-url";
          };
        };
      };
    in
    {
      gateway = [
        flake.nixosModules.gateway
        (remote "gateway")
        {
          services.paysaga.gateway.settings = {
            ORDER_SERVICE_URL = "https://10.0.0.2:3001";
            PAYMENT_SERVICE_URL = "https://10.0.0.3:3002";
          };
        }
      ];
      order = [
        flake.nixosModules.order
        (remote "order")
        (database "order")
      ];
      payment = [
        flake.nixosModules.payment
        (remote "payment")
        (database "payment")
      ];
    };

  inherit nixos host;
  inherit ((evaluated [ flake.nixosModules.default ]).options.services) paysaga;
}
