# What the NixOS module makes of a configuration, and what it refuses.
let
  hosts = import ../hosts.nix;
  inherit (hosts)
    lib
    host
    complaints
    broken
    several
    ;
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    elem
    length
    ;

  bare = host hosts.everything;
  full = host hosts.full;
  services = config: config.systemd.services;

  # A refusal that helps: one rule is broken, and its words hold what to do.
  isRefused =
    configuration: words:
    let
      told = complaints configuration;
    in
    length told == 1 && all (word: lib.hasInfix word (builtins.head told)) words;
  paysaga = settings: { services.paysaga = settings; };
  order = settings: {
    services.paysaga.order = {
      enable = true;
    }
    // settings;
  };
  gateway = settings: {
    services.paysaga = {
      order.enable = true;
      payment.enable = true;
      gateway = {
        enable = true;
      }
      // settings;
    };
  };

  # Names that a unit may depend on: our own that exist, and those of NixOS that it has for certain.
  known =
    config:
    map (name: "${name}.service") (attrNames (services config))
    ++ [
      "network.target"
      "network-online.target"
      "multi-user.target"
      "postgresql.target"
      "rabbitmq.service"
    ];
  dependenciesOf =
    unit:
    concatLists [
      (unit.after or [ ])
      (unit.before or [ ])
      (unit.wants or [ ])
      (unit.requires or [ ])
      (unit.wantedBy or [ ])
    ];
  dependsOnKnown =
    config:
    all (unit: all (name: elem name (known config)) (dependenciesOf unit)) (
      builtins.attrValues (services config)
    );
  isOrderedAfter =
    config: unit: name:
    elem name (services config).${unit}.after && elem name (services config).${unit}.wants;

  severalConfigs = lib.mapAttrs (_: hosts.nixos) several;
in
{
  # --- units ---
  "nothing enabled is nothing done" =
    let
      nothing = host { };
    in
    services nothing == { }
    && !(nothing.services.rabbitmq ? enable)
    && !(nothing.services.postgresql ? enable);
  "every rule holds for a bare host and for a full one" =
    complaints hosts.everything == [ ] && complaints hosts.full == [ ];
  "a bare host has these units" =
    attrNames (services bare) == [
      "paysaga-gateway"
      "paysaga-order"
      "paysaga-order-migrate"
      "paysaga-payment"
      "paysaga-payment-migrate"
      "paysaga-rabbitmq-accounts"
      "rabbitmq"
    ];
  "a unit depends on units that exist" =
    dependsOnKnown bare
    && dependsOnKnown full
    && all dependsOnKnown (builtins.attrValues severalConfigs);
  "a service comes after the broker, the database that is set up, and its migration" =
    all (name: isOrderedAfter bare name "rabbitmq.service") [
      "paysaga-gateway"
      "paysaga-order"
      "paysaga-payment"
    ]
    && all (name: isOrderedAfter bare name "postgresql.target") [
      "paysaga-order"
      "paysaga-order-migrate"
      "paysaga-payment"
      "paysaga-payment-migrate"
    ]
    && isOrderedAfter bare "paysaga-order" "paysaga-order-migrate.service";
  "the broker comes after the accounts, and reads the definitions as a credential" =
    isOrderedAfter bare "rabbitmq" "paysaga-rabbitmq-accounts.service"
    &&
      bare.services.rabbitmq.configItems.load_definitions
      == "/run/credentials/rabbitmq.service/definitions.json"
    &&
      (services bare).rabbitmq.serviceConfig.LoadCredential
      == [ "definitions.json:/var/lib/paysaga-rabbitmq/definitions.json" ];
  "the user of a unit is the role in the database" =
    let
      unit = (services bare).paysaga-order;
    in
    unit.serviceConfig.User == "paysaga-order"
    && lib.hasPrefix "postgres://paysaga-order@localhost" unit.environment.DATABASE_URL
    &&
      bare.services.postgresql.ensureDatabases == [
        "paysaga-order"
        "paysaga-payment"
      ]
    && any (
      user:
      user == {
        name = "paysaga-order";
        ensureDBOwnership = true;
      }
    ) bare.services.postgresql.ensureUsers;
  "a migration gets its database and no password of the broker" =
    let
      unit = (services severalConfigs.order).paysaga-order-migrate;
    in
    unit.serviceConfig.LoadCredential == [ "DATABASE_URL:/run/secrets/database-url" ]
    && lib.hasSuffix "/bin/order --migrate-only" unit.serviceConfig.ExecStart;
  "a database that is away does not hold up the boot for ever" =
    (services bare).paysaga-order-migrate.serviceConfig.TimeoutStartSec == "2min"
    && !(elem "paysaga-order-migrate.service" ((services bare).paysaga-order.requires or [ ]));
  "% is escaped in settings, and means the credentials where it should" =
    let
      inherit ((services full).paysaga-order) environment;
    in
    environment.OTEL_RESOURCE_ATTRIBUTES == "deployment.environment.name=boot%%20test"
    && environment.RABBITMQ_URL_FILE == "%d/RABBITMQ_URL";
  "with a broker of its own, a host's services don't declare" =
    (services bare).paysaga-order.environment.BROKER_TOPOLOGY == "verify"
    && !((services severalConfigs.order).paysaga-order.environment ? BROKER_TOPOLOGY);

  # --- firewall ---
  "the firewall opens for what is asked for alone" =
    bare.networking.firewall.allowedTCPPorts == [ ]
    && full.networking.firewall.allowedTCPPorts == [ 3000 ];

  # --- several hosts ---
  "one service a host needs no broker and no database there" = all (
    config: !(config.services.rabbitmq ? enable) && !(config.services.postgresql ? enable)
  ) (builtins.attrValues severalConfigs);
  "one service a host breaks no rule" = all (modules: broken modules == [ ]) (
    builtins.attrValues several
  );
  "a remote broker and a remote database come as credentials" =
    let
      unit = (services severalConfigs.payment).paysaga-payment;
    in
    unit.serviceConfig.LoadCredential == [
      "DATABASE_URL:/run/secrets/database-url"
      "RABBITMQ_URL:/run/secrets/rabbitmq-url"
    ]
    && unit.environment.DATABASE_URL_FILE == "%d/DATABASE_URL"
    && !(unit.environment ? DATABASE_URL)
    && elem "network-online.target" unit.wants;

  # --- the gateway finds the others ---
  "the gateway finds the services of its host" =
    let
      inherit
        ((services (
          host (paysaga {
            gateway.enable = true;
            order = {
              enable = true;
              port = 4001;
            };
            payment = {
              enable = true;
              listenAddress = "10.0.0.3";
            };
          })
        )).paysaga-gateway
        )
        environment
        ;
    in
    environment.ORDER_SERVICE_URL == "http://127.0.0.1:4001"
    && environment.PAYMENT_SERVICE_URL == "http://10.0.0.3:3002";

  # --- tracing and metrics ---
  "traces go to the Jaeger of the host, or where they are sent" =
    let
      sent = host {
        imports = [ hosts.everything ];
        services.paysaga.tracing = {
          enable = true;
          endpoint = "http://10.0.0.9:4318";
          sampling = 0.1;
        };
      };
      inherit ((services sent).paysaga-order) environment;
    in
    (services full).paysaga-order.environment.OTEL_EXPORTER_OTLP_ENDPOINT == "http://127.0.0.1:4318"
    && environment.OTEL_EXPORTER_OTLP_ENDPOINT == "http://10.0.0.9:4318"
    && environment.OTEL_TRACES_SAMPLER_ARG == "0.1"
    && !((services sent) ? paysaga-jaeger);
  "without tracing no service hears of it" = all (
    unit: !((unit.environment or { }) ? OTEL_EXPORTER_OTLP_ENDPOINT)
  ) (builtins.attrValues (services bare));
  "metrics are asked of every service and of the broker" =
    map (job: job.job_name) full.services.prometheus.scrapeConfigs == [
      "paysaga-gateway"
      "paysaga-order"
      "paysaga-payment"
      "paysaga-rabbitmq"
    ];

  # --- what is refused, and in which words ---
  "a gateway open to the network without keys" = isRefused (gateway { listenAddress = "0.0.0.0"; }) [
    "credentials.API_KEYS"
    "AUTHENTICATION"
  ];
  "keys that nobody is asked for" = isRefused (gateway {
    credentials.API_KEYS = "/run/keys";
    settings.AUTHENTICATION = "off";
  }) [ "give one of them" ];
  "an open firewall in front of loopback" = isRefused (gateway { openFirewall = true; }) [
    "listenAddress"
  ];
  "a gateway without an order service" = isRefused (paysaga {
    gateway.enable = true;
    payment.enable = true;
  }) [ "ORDER_SERVICE_URL" ];
  "a secret in the store, as a setting" = isRefused (order {
    settings.DATABASE_URL = "postgres://order@db/order";
  }) [ "credentials.DATABASE_URL" ];
  "a secret in the store, as a file of it" =
    isRefused (order {
      credentials.API_KEYS = "x";
    }) [ ] == false
    && isRefused {
      services.paysaga = {
        rabbitmq.createLocally = false;
        order = {
          enable = true;
          credentials.RABBITMQ_URL = "${builtins.storeDir}/00000000000000000000000000000000-url";
        };
      };
    } [ "outside of the Nix store" ];
  "a path of the configuration itself, which would be copied to the store" =
    hosts.isRefusedOutright
      (order {
        credentials.DATABASE_CONNECTIONS = ./module.nix;
      });
  "a password in a URL among the settings" = isRefused (gateway {
    settings.ORDER_SERVICE_URL = "http://me:secret@10.0.0.2:3001";
  }) [ "world-readable" ];
  "headers of an exporter, which carry a password" = isRefused (order {
    settings.OTEL_EXPORTER_OTLP_HEADERS = "authorization=secret";
  }) [ "world-readable" ];
  "a broker here and elsewhere" = isRefused (order { credentials.RABBITMQ_URL = "/run/url"; }) [
    "createLocally = false"
  ];
  "a database here and elsewhere" = isRefused (order { credentials.DATABASE_URL = "/run/url"; }) [
    "createLocally = false"
  ];
  "no broker" = isRefused {
    services.paysaga = {
      order.enable = true;
      rabbitmq.createLocally = false;
    };
  } [ "credentials.RABBITMQ_URL" ];
  "no database" = isRefused {
    services.paysaga = {
      order.enable = true;
      postgresql.createLocally = false;
    };
  } [ "credentials.DATABASE_URL" ];
  "a variable that no service knows" = isRefused (order { settings.SAGA_TIMEUOT = "1m"; }) [
    "SAGA_TIMEOUT"
  ];
  "a credential that no service knows" = isRefused (order { credentials.API_KEYS = "/run/keys"; }) [
    "no such variable"
  ];
  "a variable that is given twice" = isRefused (order {
    settings.SAGA_TIMEOUT = "1m";
    credentials.SAGA_TIMEOUT = "/run/timeout";
  }) [ "give one of them" ];
  "tracing to nowhere" = isRefused {
    services.paysaga = {
      order.enable = true;
      tracing.enable = true;
    };
  } [ "jaeger.enable" ];
  "a Jaeger that nobody sends anything" = isRefused {
    services.paysaga = {
      order.enable = true;
      tracing.jaeger.enable = true;
    };
  } [ "tracing.enable" ];
  "metrics of a gateway that would not show them" = isRefused {
    services.paysaga = {
      gateway = {
        enable = true;
        listenAddress = "10.0.0.1";
        credentials.API_KEYS = "/run/keys";
      };
      order.enable = true;
      payment.enable = true;
      metrics.enable = true;
    };
  } [ "without a key" ];
  "a service without keys behind an open firewall is warned of" =
    length
      (host (order {
        listenAddress = "0.0.0.0";
        openFirewall = true;
      })).warnings == 1;
  "an option that does not exist" = hosts.isRefusedOutright {
    services.paysaga.gatway.enable = true;
  };
  "a port that does not exist" = hosts.isRefusedOutright (order {
    port = 70000;
  });
  "a share that is none" = hosts.isRefusedOutright {
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
