# Which configurations the NixOS module refuses, and with which message.
let
  hosts = import ../hosts.nix;
  inherit (hosts)
    host
    failures
    isRefused
    ;

  paysaga = settings: { services.paysaga = settings; };
  order = hosts.everythingWith "order";
  gateway = hosts.everythingWith "gateway";
  # On a host of its own.
  onlyOrder = settings: {
    services.paysaga = {
      order = {
        enable = true;
        credentials.SERVICE_TOKEN = "/run/secrets/token";
      };
    }
    // settings;
  };
in
{
  "API keys with authentication off are refused" = isRefused (gateway {
    credentials.API_KEYS = "/run/keys";
    settings.AUTHENTICATION = "off";
  }) [ "give one of them" ];
  "Grafana without Prometheus is refused" = isRefused (paysaga {
    metrics.grafana.enable = true;
  }) [ "services.paysaga.metrics.enable" ];
  "an open firewall for a loopback address is refused" =
    isRefused (gateway { openFirewall = true; })
      [
        "listenAddress"
      ];
  "a gateway without an order service is refused" = isRefused (paysaga {
    gateway = {
      enable = true;
      credentials.SERVICE_TOKEN = "/run/secrets/token";
    };
    payment = {
      enable = true;
      credentials.SERVICE_TOKEN = "/run/secrets/token";
    };
  }) [ "ORDER_SERVICE_URL" ];
  "a secret as a setting is refused" = isRefused (order {
    settings.DATABASE_URL = "postgres://order@db/order";
  }) [ "credentials.DATABASE_URL" ];
  "a credential in the Nix store, and a path that is not absolute, are refused" =
    let
      broker =
        path:
        onlyOrder {
          rabbitmq.createLocally = false;
          order = {
            enable = true;
            credentials.SERVICE_TOKEN = "/run/secrets/token";
            credentials.RABBITMQ_URL = path;
          };
        };
    in
    failures (broker "/run/secrets/url") == [ ]
    && hosts.isRefusedOutright (broker "${builtins.storeDir}/00000000000000000000000000000000-url")
    && hosts.isRefusedOutright (broker "secrets/url");
  "a path literal as a credential, which would be copied to the store, is refused" =
    let
      setting = path: order { credentials.DATABASE_CONNECTIONS = path; };
    in
    failures (setting "/etc/paysaga/connections") == [ ]
    && hosts.isRefusedOutright (setting ./module.nix);
  "a setting with a password in a URL is refused" = isRefused (gateway {
    settings.ORDER_SERVICE_URL = "https://me:secret@10.0.0.2:3001";
  }) [ "world-readable" ];
  "the headers of an exporter, which carry a password, are refused as a setting" = isRefused (order {
    settings.OTEL_EXPORTER_OTLP_HEADERS = "authorization=secret";
  }) [ "world-readable" ];
  "a local and a remote broker at once are refused" =
    isRefused (order { credentials.RABBITMQ_URL = "/run/url"; })
      [
        "createLocally = false"
      ];
  "a local and a remote database at once are refused" =
    isRefused (order { credentials.DATABASE_URL = "/run/url"; })
      [
        "createLocally = false"
      ];
  "a service without a broker is refused" = isRefused (onlyOrder {
    rabbitmq.createLocally = false;
  }) [ "credentials.RABBITMQ_URL" ];
  "a service without a database is refused" = isRefused (onlyOrder {
    postgresql.createLocally = false;
  }) [ "credentials.DATABASE_URL" ];
  "an unknown setting is refused" = isRefused (order { settings.SAGA_TIMEUOT = "1m"; }) [
    "SAGA_TIMEOUT"
  ];
  "an unknown credential is refused" = isRefused (order { credentials.API_KEYS = "/run/keys"; }) [
    "no such variable"
  ];
  "a variable that is given twice is refused" = isRefused (order {
    settings.SAGA_TIMEOUT = "1m";
    credentials.SAGA_TIMEOUT = "/run/timeout";
  }) [ "give one of them" ];
  "tracing without an endpoint is refused" = isRefused (onlyOrder { tracing.enable = true; }) [
    "jaeger.enable"
  ];
  "Jaeger without tracing is refused" = isRefused (onlyOrder { tracing.jaeger.enable = true; }) [
    "tracing.enable"
  ];
  "an open firewall for a service without keys gives a warning" =
    builtins.length
      (host (order {
        listenAddress = "0.0.0.0";
        openFirewall = true;
      })).warnings == 1;
  "plain HTTP beyond loopback is refused unless it is accepted" =
    isRefused
      (onlyOrder {
        order = {
          enable = true;
          credentials.SERVICE_TOKEN = "/run/secrets/token";
          listenAddress = "10.0.0.2";
        };
      })
      [
        "without TLS"
        ''ALLOW_PLAINTEXT = "http"''
      ]
    &&
      isRefused
        (gateway {
          settings.ORDER_SERVICE_URL = "http://10.0.0.2:3001";
          settings.PAYMENT_SERVICE_URL = "http://localhost:3002";
        })
        [
          "settings.ORDER_SERVICE_URL is http://10.0.0.2:3001"
          "https://"
        ]
    &&
      failures {
        imports = [ hosts.everything ];
        services.paysaga.gateway = {
          listenAddress = "0.0.0.0";
          settings.ALLOW_PLAINTEXT = "amqp, http";
        };
      } == [ ];
  "a service without its gateway on the same host is refused unless they know each other" =
    isRefused { services.paysaga.order.enable = true; } [ "credentials.SERVICE_TOKEN" ]
    && failures (onlyOrder { }) == [ ]
    &&
      failures {
        services.paysaga.order = {
          enable = true;
          settings.AUTHENTICATION = "off";
        };
      } == [ ];
  "half an identity is refused" =
    isRefused (order { credentials.TLS_CERTIFICATE = "/run/order.pem"; })
      [
        "belong together"
      ];
  "an unknown option is refused" = hosts.isRefusedOutright {
    services.paysaga.gatway.enable = true;
  };
  "a port above 65535 is refused" = hosts.isRefusedOutright (order {
    port = 70000;
  });
  "a sampling share above 1 is refused" = hosts.isRefusedOutright {
    services.paysaga = {
      order.enable = true;
      tracing = {
        enable = true;
        endpoint = "http://127.0.0.1:4318";
        sampling = 10;
      };
    };
  };
}
