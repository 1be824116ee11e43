# What every service has: options, a unit, a firewall rule, and assertions about them.
{
  name,
  about,
  port,
  # Files with what `${name} --help` lists besides the variables of every service.
  variables,
  # Of its credentials, those that the service gets in another way, because they change while it runs.
  followed ? [ ],
  # And those that it does not get: they are for its migration.
  withheld ? [ ],
  # Of those, certificate and key of HTTPS, where clients may come without a certificate of their own.
  https ? [ ],
}:
{ config, lib, ... }:
let
  inherit (config.services) paysaga;
  cfg = paysaga.${name};
  option = "services.paysaga.${name}";
  addresses = import ./addresses.nix { inherit lib; };
  environment = import ./environment.nix { inherit lib; };

  token = import ./service-token-file.nix;

  # The service's identity, by which the others know it.
  certificates = [
    "TLS_CERTIFICATE"
    "TLS_KEY"
    "TLS_CA"
  ];
  hasIdentity = cfg.credentials.TLS_CERTIFICATE != null;
  # What it listens with.
  listening = if https == [ ] then certificates else https;
  speaksTls = given.credentials ? ${builtins.head listening};
  # The gateway is known by its certificate, or by a token.
  needsToken =
    !hasIdentity
    && cfg.credentials.SERVICE_TOKEN == null
    && (name == "gateway" || cfg.settings.AUTHENTICATION != "off");
  localToken = needsToken && token.isMadeHere paysaga;
  allowsPlaintext = protocol: builtins.elem protocol (given.settings.ALLOW_PLAINTEXT or [ ]);
  isPlain = url: lib.hasPrefix "http://" (toString url) && !isOfThisHost url;

  known = import ./variables {
    inherit lib;
    files = variables;
  };
  given = {
    settings = environment.given cfg.settings;
    credentials = environment.given cfg.credentials;
  };
  listed = lib.concatStringsSep ", ";
  isOfOpenTelemetry = lib.hasPrefix "OTEL_";
  # Headers of an exporter usually carry a password.
  isSecret =
    variable:
    known.credentials ? ${variable} || isOfOpenTelemetry variable && lib.hasSuffix "_HEADERS" variable;
  holdsPassword = value: builtins.match "[a-z+]+://[^/@]*:[^/@]+@.*" (toString value) != null;

  localBroker = paysaga.rabbitmq.createLocally;
  credentials =
    lib.optionalAttrs localBroker {
      RABBITMQ_URL = (import ./rabbitmq-accounts.nix).urlFile name;
    }
    // lib.optionalAttrs localToken { SERVICE_TOKEN = token.file; }
    // removeAttrs given.credentials (followed ++ withheld);
  listensLocally = addresses.isLoopback cfg.listenAddress;
  dependencies = [
    "network.target"
  ]
  ++ lib.optional localBroker "rabbitmq.service"
  ++ lib.optional localToken "paysaga-service-token.service";
  needsNetwork = !localBroker || !listensLocally;
  # Whether everything that it talks to is on this host, as far as the configuration tells.
  isLocal =
    localBroker
    && listensLocally
    && addresses.isLoopback cfg.managementAddress
    && !(given.credentials ? DATABASE_URL)
    && builtins.all isOfThisHost (
      builtins.attrValues (
        lib.filterAttrs (
          variable: _: lib.hasSuffix "_URL" variable || lib.hasSuffix "_ENDPOINT" variable
        ) given.settings
      )
      ++ lib.optional paysaga.tracing.enable paysaga.tracing.endpoint
    );
  isOfThisHost =
    url: builtins.match "[a-z]+://(127\\.[0-9.]+|localhost|\\[::1])([:/].*)?" (toString url) != null;
  networks =
    if cfg.networks != null then cfg.networks else [ (if isLocal then "localhost" else "any") ];
in
{
  _file = ./service.nix;

  imports = [
    ./rabbitmq.nix
    ./service-token.nix
    ./tracing.nix
    ./metrics.nix
    ./grafana.nix
    ./operator.nix
  ];

  options.services.paysaga.${name} = {
    enable = lib.mkEnableOption "paysaga's ${name} service (${about})";

    package = lib.mkOption {
      type = lib.types.package;
      defaultText = lib.literalMD "the flake's static `${name}`";
      description = "Package with the program `bin/${name}`.";
    };

    listenAddress = lib.mkOption {
      type = lib.types.str;
      default = "127.0.0.1";
      example = "0.0.0.0";
      description = "IP address to listen on.";
    };

    port = lib.mkOption {
      type = lib.types.port;
      default = port;
      description = "TCP port to listen on.";
    };

    managementAddress = lib.mkOption {
      type = lib.types.str;
      default = "127.0.0.1";
      example = "10.0.0.2";
      description = ''
        IP address of `/health/live`, `/health/ready` and `/metrics`, for probes and scrapers. They are not for clients:
        `openFirewall` does not open their port.
      '';
    };

    managementPort = lib.mkOption {
      type = lib.types.port;
      default = port + 1000;
      description = "TCP port of health and metrics.";
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Open the port in this host's firewall, on every interface.";
    };

    networks = lib.mkOption {
      type = lib.types.nullOr (lib.types.listOf lib.types.str);
      default = null;
      example = [
        "localhost"
        "10.0.0.0/24"
      ];
      description = ''
        The networks that it may talk to, in either direction (systemd's IPAddressAllow). By default this host alone if all that it
        needs is here and it listens on loopback; otherwise any.
      '';
    };

    settings = lib.mkOption {
      type = known.settingsType;
      default = { };
      example.RUST_LOG = "debug";
      description = ''
        Variables of `${name} --help`, and OpenTelemetry's `OTEL_*`. They are written to the world-readable Nix store:
        passwords belong in `${option}.credentials`. What is null is left to the program.${
          lib.optionalString (name == "gateway") " It finds the services of its own host by itself."
        }
      '';
    };

    credentials = lib.mkOption {
      type = known.credentialsType;
      default = { };
      example.RABBITMQ_URL = "/run/secrets/paysaga-${name}-rabbitmq-url";
      description = ''
        Files that hold the value of a variable, by the variable's name; any of the settings may be given so too. The service gets
        a copy that only it can read (systemd's LoadCredential), made when it starts: restart it when a file has changed${
          lib.optionalString (followed != [ ]) ", except for ${listed followed}, which are followed"
        }. The file itself may be readable by root alone. What this host makes need not be named: the URLs of local servers, the
        token where all three services are here, and an operator's API key.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    # Exchanges and queues are part of the local broker's definitions.
    services.paysaga.${name}.settings.BROKER_TOPOLOGY = lib.mkIf localBroker (lib.mkDefault "verify");

    systemd.services."paysaga-${name}" = {
      description = "paysaga ${name}: ${about}";
      wantedBy = [ "multi-user.target" ];
      after = dependencies ++ lib.optional needsNetwork "network-online.target";
      wants = dependencies ++ lib.optional needsNetwork "network-online.target";
      # What it needs may be unavailable indefinitely: the service waits, or if it can't start, is restarted without limit.
      unitConfig.StartLimitIntervalSec = 0;

      environment =
        environment.fromSettings (
          {
            LISTEN_ADDRESS = cfg.listenAddress;
            PORT = cfg.port;
            MANAGEMENT_ADDRESS = addresses.socket cfg.managementAddress cfg.managementPort;
            SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt";
          }
          // cfg.settings
        )
        // environment.fromCredentials credentials;

      serviceConfig = import ./hardening.nix // {
        ExecStart = "${cfg.package}/bin/${name}";
        User = (import ./accounts.nix).userOf name;
        Type = "exec";
        Restart = "on-failure";
        RestartSec = 2;
        # EX_CONFIG: the service has logged what is wrong with its configuration; a restart would not change that.
        RestartPreventExitStatus = 78;
        # SHUTDOWN_TIMEOUT is 10 s; unfinished work is resumed at the next start.
        TimeoutStopSec = 30;
        # MAX_CONNECTIONS defaults to 8192; the services raise their own limit from the usual 1024 to this one.
        LimitNOFILE = 65536;
        # Several times of what it needs under load; a service that takes more is restarted, and goes on where it was.
        MemoryMax = "1G";
        TasksMax = 512;
        IPAddressAllow = networks;
        IPAddressDeny = "any";
        LoadCredential = environment.loadCredentials credentials;
      };
    };

    networking.firewall.allowedTCPPorts = lib.optional cfg.openFirewall cfg.port;

    warnings = lib.optional (name != "gateway" && cfg.openFirewall) ''
      ${option}.openFirewall opens the ${name} service, which answers the gateway alone, to the network.
      Only the gateway needs to reach it: open the port on the gateway's interface, with networking.firewall.interfaces.<name>.allowedTCPPorts.
    '';

    assertions = [
      {
        assertion = !(cfg.openFirewall && listensLocally);
        message = ''
          ${option}.openFirewall opens port ${toString cfg.port}, but the service listens on ${cfg.listenAddress} only.
          Set ${option}.listenAddress, or leave the firewall closed.
        '';
      }
      {
        assertion = listensLocally || speaksTls || allowsPlaintext "http";
        message = ''
          ${option} listens on ${cfg.listenAddress} without TLS: what the network carries could be read and changed there.
          Give it a certificate (${option}.credentials.{${lib.concatStringsSep "," listening}}),
          or accept that: ${option}.settings.ALLOW_PLAINTEXT = "http".
        '';
      }
      {
        assertion = builtins.all (variable: given.credentials ? ${variable} == hasIdentity) certificates;
        message = "${option}.credentials.{${lib.concatStringsSep "," certificates}} belong together; give all or none.";
      }
      {
        assertion = !needsToken || localToken;
        message = ''
          Not all services are on this host, and the ${name} service has nothing by which ${
            if name == "gateway" then "the others know it" else "it knows the gateway"
          }. Give it a certificate
          (${option}.credentials.{${lib.concatStringsSep "," certificates}}), or the same token on every host:
          ${option}.credentials.SERVICE_TOKEN = "/run/secrets/…".
        '';
      }
      {
        assertion = !(localBroker && cfg.credentials.RABBITMQ_URL != null);
        message = ''
          ${option}.credentials.RABBITMQ_URL names a RabbitMQ, and services.paysaga.rabbitmq.createLocally runs one here.
          To use the named one, set services.paysaga.rabbitmq.createLocally = false.
        '';
      }
      {
        assertion = localBroker || cfg.credentials.RABBITMQ_URL != null;
        message = ''
          The ${name} service has no RabbitMQ. Name a file that holds its URL (${option}.credentials.RABBITMQ_URL =
          "/run/secrets/…"), or run one here (services.paysaga.rabbitmq.createLocally = true).
        '';
      }
    ]
    ++ lib.mapAttrsToList (variable: _: {
      assertion = !isSecret variable && !isSecret (lib.removeSuffix "_FILE" variable);
      message = ''
        ${option}.settings.${variable} would put a secret into the world-readable Nix store.
        Put it into a file and name that: ${option}.credentials.${lib.removeSuffix "_FILE" variable} = "/run/secrets/…".
      '';
    }) given.settings
    ++ lib.mapAttrsToList (variable: value: {
      assertion = !holdsPassword value;
      message = ''
        ${option}.settings.${variable} is a URL with a password in it, and would be in the world-readable Nix store.
        Put it into a file and name that: ${option}.credentials.${variable} = "/run/secrets/…".
      '';
    }) given.settings
    ++ lib.mapAttrsToList (variable: url: {
      assertion = !(lib.hasSuffix "_SERVICE_URL" variable && isPlain url) || allowsPlaintext "http";
      message = ''
        ${option}.settings.${variable} is ${toString url}: what the network carries could be read and changed there.
        Use https://, or accept that: ${option}.settings.ALLOW_PLAINTEXT = "http".
      '';
    }) given.settings
    ++ lib.mapAttrsToList (variable: _: {
      assertion =
        known.settings ? ${variable}
        || isSecret (lib.removeSuffix "_FILE" variable)
        || isOfOpenTelemetry variable;
      message = ''
        ${option}.settings.${variable}: the ${name} service has no such variable. It reads
        ${listed (builtins.attrNames known.settings)} and OTEL_*; addresses and ports are ${option}.{listenAddress,port,managementAddress,managementPort}.
      '';
    }) given.settings
    ++ lib.mapAttrsToList (variable: _: {
      assertion = known.credentials ? ${variable} || known.settings ? ${variable};
      message = ''
        ${option}.credentials.${variable}: the ${name} service has no such variable. It reads
        ${listed (builtins.attrNames (known.credentials // known.settings))}.
      '';
    }) given.credentials
    ++ lib.mapAttrsToList (variable: _: {
      assertion = !(given.settings ? ${variable});
      message = "${option} gives ${variable} twice, as a setting and as a credential; give one of them.";
    }) given.credentials;
  };
}
