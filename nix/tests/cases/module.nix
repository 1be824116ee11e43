# What the NixOS module configures.
let
  hosts = import ../hosts.nix;
  inherit (hosts)
    lib
    host
    failures
    failuresOf
    several
    ;
  inherit (builtins)
    all
    attrNames
    concatLists
    elem
    ;

  bare = host hosts.everything;
  full = host hosts.full;
  observed = host hosts.observed;
  services = config: config.systemd.services;

  paysaga = settings: { services.paysaga = settings; };
  gateway = hosts.everythingWith "gateway";

  # Names that a unit may depend on: the units here, and those that NixOS always has.
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
  "without an enabled service nothing is configured" =
    let
      nothing = host { };
    in
    services nothing == { }
    && !(nothing.services.rabbitmq ? enable)
    && !(nothing.services.postgresql ? enable);
  "a bare host and a full one pass the assertions" =
    failures hosts.everything == [ ] && failures hosts.full == [ ];
  "a bare host has these units" =
    attrNames (services bare) == [
      "paysaga-databases"
      "paysaga-gateway"
      "paysaga-gateway-key"
      "paysaga-gateway-keys"
      "paysaga-gateway-keys-again"
      "paysaga-order"
      "paysaga-order-migrate"
      "paysaga-payment"
      "paysaga-payment-migrate"
      "paysaga-rabbitmq-accounts"
      "paysaga-service-token"
      "rabbitmq"
    ];
  "a unit depends on units that exist" =
    dependsOnKnown bare
    && dependsOnKnown full
    && dependsOnKnown observed
    && all dependsOnKnown (builtins.attrValues severalConfigs);
  "a service starts after the broker, the database setup and its migration" =
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
  "the broker starts after the accounts, and reads the definitions as a credential" =
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
    &&
      map (user: user.name) bare.services.postgresql.ensureUsers == [
        "paysaga-order"
        "paysaga-payment"
        "paysaga-order-owner"
        "paysaga-payment-owner"
      ];
  "the role that owns the schema migrates it, and the service does not learn how" =
    let
      migration = (services bare).paysaga-order-migrate;
      remote = services (host {
        imports = [ hosts.everything ];
        services.paysaga = {
          postgresql.createLocally = false;
          order.credentials = {
            DATABASE_URL = "/run/url";
            MIGRATION_DATABASE_URL = "/run/owner-url";
          };
          payment.credentials.DATABASE_URL = "/run/url";
        };
      });
    in
    migration.serviceConfig.User == "paysaga-order-owner"
    && lib.hasPrefix "postgres://paysaga-order-owner@localhost" migration.environment.MIGRATION_DATABASE_URL
    && isOrderedAfter bare "paysaga-order-migrate" "paysaga-databases.service"
    && !((services bare).paysaga-order.environment ? MIGRATION_DATABASE_URL)
    &&
      remote.paysaga-order-migrate.environment.MIGRATION_DATABASE_URL_FILE == "%d/MIGRATION_DATABASE_URL"
    && !(remote.paysaga-order.environment ? MIGRATION_DATABASE_URL_FILE);
  "a migration gets its database and not the broker's password" =
    let
      unit = (services severalConfigs.order).paysaga-order-migrate;
    in
    unit.serviceConfig.LoadCredential == [ "DATABASE_URL:/run/secrets/database-url" ]
    && lib.hasSuffix "/bin/order --migrate-only" unit.serviceConfig.ExecStart;
  "a service whose neighbours are all here talks to this host alone" =
    let
      allowed = config: name: (services config).${name}.serviceConfig.IPAddressAllow;
      elsewhere = host {
        imports = [ hosts.everything ];
        services.paysaga.gateway.settings.ORDER_SERVICE_URL = "http://10.0.0.2:3001";
        services.paysaga.order.settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://collector:4318";
        services.paysaga.payment.networks = [ "10.0.0.0/8" ];
      };
      traced = host {
        imports = [ hosts.everything ];
        services.paysaga.tracing = {
          enable = true;
          endpoint = "http://localhost.example.org:4318";
        };
      };
    in
    all (name: allowed bare name == [ "localhost" ]) [
      "paysaga-gateway"
      "paysaga-order"
      "paysaga-payment"
    ]
    && allowed full "paysaga-order" == [ "localhost" ]
    && allowed full "paysaga-gateway" == [ "any" ]
    && allowed severalConfigs.payment "paysaga-payment" == [ "any" ]
    && allowed elsewhere "paysaga-gateway" == [ "any" ]
    && allowed elsewhere "paysaga-order" == [ "any" ]
    && allowed elsewhere "paysaga-payment" == [ "10.0.0.0/8" ]
    && allowed traced "paysaga-order" == [ "any" ];
  "a migration delays neither the boot nor its service, and is tried again" =
    (services bare).paysaga-order-migrate.serviceConfig.Type == "exec"
    && (services bare).paysaga-order-migrate.serviceConfig.Restart == "on-failure"
    && !(elem "paysaga-order-migrate.service" ((services bare).paysaga-order.requires or [ ]));
  "% is escaped in settings, and a specifier in paths of credentials" =
    let
      inherit ((services full).paysaga-order) environment;
    in
    environment.OTEL_RESOURCE_ATTRIBUTES == "deployment.environment.name=boot%%20test"
    && environment.RABBITMQ_URL_FILE == "%d/RABBITMQ_URL";
  "with a local broker, services verify the topology instead of declaring it" =
    (services bare).paysaga-order.environment.BROKER_TOPOLOGY == "verify"
    && !((services severalConfigs.order).paysaga-order.environment ? BROKER_TOPOLOGY);

  "a gateway that was given no keys has an operator's, made on its host" =
    let
      units = services bare;
    in
    units.paysaga-gateway.environment.API_KEYS_FILE == "%t/paysaga-gateway-keys/api-keys"
    && isOrderedAfter bare "paysaga-gateway" "paysaga-gateway-keys.service"
    && isOrderedAfter bare "paysaga-gateway-keys" "paysaga-gateway-key.service"
    &&
      units.paysaga-gateway-keys.serviceConfig.LoadCredential == [
        "API_KEYS:/var/lib/paysaga-gateway-key/api-keys"
      ];
  "keys that change are copied again, as the gateway's user" =
    let
      given = host (gateway {
        credentials.API_KEYS = "/run/secrets/keys";
      });
      units = services given;
    in
    given.systemd.paths.paysaga-gateway-keys.pathConfig.PathChanged == "/run/secrets/keys"
    && units.paysaga-gateway-keys.serviceConfig.LoadCredential == [ "API_KEYS:/run/secrets/keys" ]
    && units.paysaga-gateway-keys.serviceConfig.User == units.paysaga-gateway.serviceConfig.User
    && !(units ? paysaga-gateway-key);
  "a gateway without authentication has no keys" =
    let
      off = host (gateway {
        settings.AUTHENTICATION = "off";
      });
    in
    !(services off ? paysaga-gateway-keys)
    && !(off.systemd.paths ? paysaga-gateway-keys)
    && !((services off).paysaga-gateway.environment ? API_KEYS_FILE);

  # --- firewall ---
  "the firewall opens for openFirewall alone" =
    bare.networking.firewall.allowedTCPPorts == [ ]
    && full.networking.firewall.allowedTCPPorts == [ 3000 ];

  # --- several hosts ---
  "with one service a host, no broker and no database is local" = all (
    config: !(config.services.rabbitmq ? enable) && !(config.services.postgresql ? enable)
  ) (builtins.attrValues severalConfigs);
  "with one service a host, every host passes the assertions" = all (
    modules: failuresOf modules == [ ]
  ) (builtins.attrValues several);
  "a remote broker and a remote database come as credentials" =
    let
      unit = (services severalConfigs.payment).paysaga-payment;
    in
    unit.serviceConfig.LoadCredential == [
      "DATABASE_URL:/run/secrets/database-url"
      "RABBITMQ_URL:/run/secrets/rabbitmq-url"
      "TLS_CA:/run/secrets/ca.pem"
      "TLS_CERTIFICATE:/run/secrets/payment.pem"
      "TLS_KEY:/run/secrets/payment-key.pem"
    ]
    && unit.environment.DATABASE_URL_FILE == "%d/DATABASE_URL"
    && !(unit.environment ? DATABASE_URL)
    && elem "network-online.target" unit.wants;

  "one switch for each server decides everything that is about it" =
    let
      away = hosts.host {
        imports = [ hosts.everything ];
        services.paysaga =
          lib.genAttrs [ "gateway" "order" "payment" ] (name: {
            credentials = {
              RABBITMQ_URL = "/run/secrets/rabbitmq-url";
            }
            // lib.optionalAttrs (name != "gateway") { DATABASE_URL = "/run/secrets/database-url"; };
          })
          // {
            rabbitmq.createLocally = false;
            postgresql.createLocally = false;
          };
      };
      gone = name: !(elem name (attrNames (services away)));
      ofServers = [
        "rabbitmq.service"
        "postgresql.target"
        "paysaga-databases.service"
        "paysaga-rabbitmq-accounts.service"
      ];
    in
    all gone [
      "rabbitmq"
      "paysaga-rabbitmq-accounts"
      "paysaga-databases"
    ]
    && !(away.services.rabbitmq ? enable)
    && !(away.services.postgresql ? enable)
    && all (unit: all (name: !(elem name (dependenciesOf unit))) ofServers) (
      builtins.attrValues (services away)
    )
    &&
      all
        (
          name:
          let
            unit = (services away).${name};
          in
          !(unit.environment ? BROKER_TOPOLOGY)
          && !(unit.environment ? DATABASE_URL)
          && unit.serviceConfig.IPAddressAllow == [ "any" ]
        )
        [
          "paysaga-gateway"
          "paysaga-order"
          "paysaga-payment"
        ];

  # --- the gateway finds the others ---
  "the gateway finds the services of its host" =
    let
      inherit
        ((services (
          host (paysaga {
            gateway.enable = true;
            order = {
              enable = true;
              port = 3011;
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
    environment.ORDER_SERVICE_URL == "http://127.0.0.1:3011"
    && environment.PAYMENT_SERVICE_URL == "http://10.0.0.3:3002";

  # --- tracing and metrics ---
  "traces go to the local Jaeger, or to the configured endpoint" =
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
  "without tracing, services have no exporter" = all (
    unit: !((unit.environment or { }) ? OTEL_EXPORTER_OTLP_ENDPOINT)
  ) (builtins.attrValues (services bare));
  "Prometheus scrapes every service and the broker" =
    map (
      job: [ job.job_name ] ++ (builtins.head job.static_configs).targets
    ) full.services.prometheus.scrapeConfigs == [
      [
        "paysaga-gateway"
        "127.0.0.1:4000"
      ]
      [
        "paysaga-order"
        "127.0.0.1:4001"
      ]
      [
        "paysaga-payment"
        "127.0.0.1:4002"
      ]
      [
        "paysaga-rabbitmq"
        "127.0.0.1:15692"
      ]
    ];
  "Grafana shows the dashboards of the Prometheus beside it, on loopback" =
    let
      inherit (observed.services) grafana;
      datasource = builtins.head grafana.provision.datasources.settings.datasources;
      provider = builtins.head grafana.provision.dashboards.settings.providers;
    in
    grafana.enable
    && grafana.settings.server.http_addr == "127.0.0.1"
    && grafana.settings.server.http_port == 3300
    && datasource.url == "http://127.0.0.1:9090"
    &&
      attrNames (builtins.readDir provider.options.path) == [
        "broker-and-outbox.json"
        "money.json"
        "saga-overview.json"
        "service.json"
      ]
    && !(full.services.grafana ? enable);
  "Grafana's secrets are made on its host, or given as a file, and are files to it" =
    let
      given = host {
        imports = [ hosts.observed ];
        services.paysaga.metrics.grafana.adminPasswordFile = "/run/secrets/grafana";
      };
      credentialsOf = config: (services config).grafana.serviceConfig.LoadCredential;
      makes = config: (services config).paysaga-grafana-secrets.serviceConfig.ExecStart;
      inherit (observed.services.grafana.settings) security;
    in
    security.admin_password == "$__file{/run/credentials/grafana.service/admin-password}"
    && security.secret_key == "$__file{/run/credentials/grafana.service/secret-key}"
    && isOrderedAfter observed "grafana" "paysaga-grafana-secrets.service"
    &&
      credentialsOf observed == [
        "admin-password:/var/lib/paysaga-grafana/admin-password"
        "secret-key:/var/lib/paysaga-grafana/secret-key"
      ]
    &&
      credentialsOf given == [
        "admin-password:/run/secrets/grafana"
        "secret-key:/var/lib/paysaga-grafana/secret-key"
      ]
    && lib.hasSuffix " secret-key admin-password" (makes observed)
    && lib.hasSuffix " secret-key" (makes given);
  "health and metrics are on loopback unless told otherwise, and not opened to the network" =
    (services full).paysaga-gateway.environment.MANAGEMENT_ADDRESS == "127.0.0.1:4000"
    &&
      (services (
        host (paysaga {
          order = {
            enable = true;
            managementAddress = "fd00::2";
            managementPort = 9000;
          };
        })
      )).paysaga-order.environment.MANAGEMENT_ADDRESS == "[fd00::2]:9000"
    && full.networking.firewall.allowedTCPPorts == [ 3000 ];

  # --- between the services ---
  "services of one host know the gateway by a token that is made there" =
    all
      (
        name:
        isOrderedAfter bare "paysaga-${name}" "paysaga-service-token.service"
        &&
          elem "SERVICE_TOKEN:/var/lib/paysaga-service-token/token"
            (services bare)."paysaga-${name}".serviceConfig.LoadCredential
      )
      [
        "gateway"
        "order"
        "payment"
      ]
    && !(services severalConfigs.order ? paysaga-service-token);
}
