# The operator's command on this host, with the host's credentials, for the members of a group.
#
# They get it through sudo, which lets them run one program as root: operator-unit.sh. It starts `paysaga` in a unit of its own, as
# a user that exists meanwhile and owns nothing, with copies of the credentials that the subcommand needs (LoadCredential). No
# secret is in an argument or in the environment, and sudo logs who ran what.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services) paysaga;
  cfg = paysaga.operator;
  option = "services.paysaga.operator";
  addresses = import ./addresses.nix { inherit lib; };
  inherit (import ./accounts.nix) userOf ownerOf;
  accounts = import ./rabbitmq-accounts.nix;
  superuser = import ./as-superuser.nix { inherit (config.services) postgresql; };
  key = import ./gateway-key-file.nix;
  enabled = import ./enabled.nix { inherit config; };

  hasGateway = builtins.elem "gateway" enabled;
  localKeys = hasGateway && key.isMadeHere paysaga.gateway;
  localBroker = enabled != [ ] && paysaga.rabbitmq.createLocally;
  localDatabases = builtins.filter (
    name: name != "gateway" && paysaga.postgresql.createLocally
  ) enabled;

  credentials =
    lib.optionalAttrs localKeys { PAYSAGA_API_KEY = "${key.directory}/api-key"; }
    // lib.optionalAttrs (hasGateway && paysaga.gateway.credentials.API_KEYS != null) {
      inherit (paysaga.gateway.credentials) API_KEYS;
    }
    // lib.optionalAttrs localBroker { RABBITMQ_URL = accounts.urlFile "operator"; }
    // cfg.credentials;
  # Without passwords: PostgreSQL gets the unit's user from the kernel.
  databases = removeAttrs (builtins.listToAttrs (
    map (name: {
      name = "${lib.toUpper name}_DATABASE_URL";
      value = "postgres://${userOf "operator"}@localhost:${toString config.services.postgresql.settings.port}/${userOf name}?host=/run/postgresql";
    }) localDatabases
  )) (builtins.attrNames credentials);

  # Settings of a unit as arguments of systemd-run.
  properties = lib.mapAttrsToList (
    name: value:
    map (
      one: "--property=${name}=${if builtins.isBool one then lib.boolToString one else toString one}"
    ) (if builtins.isList value then value else [ value ])
  );

  asRoot = pkgs.writeShellScript "paysaga-operator" ''
    ${lib.toShellVars {
      inherit credentials databases;
      inherit (cfg) gateway;
      program = "${cfg.package}/bin/paysaga";
      systemd = "${config.systemd.package}/bin";
      coreutils = "${pkgs.coreutils}/bin";
      sandbox = builtins.concatLists (properties (import ./hardening.nix));
      user = userOf "operator";
      made_keys = if localKeys then key.directory else "";
    }}
    ${builtins.readFile ./operator-arguments.sh}
    ${builtins.readFile ./operator-unit.sh}
  '';
  command = pkgs.writeShellScriptBin "paysaga" ''
    ${lib.toShellVars {
      inherit (cfg) group;
      program = "${cfg.package}/bin/paysaga";
      id = "${pkgs.coreutils}/bin/id";
      sudo = "${config.security.wrapperDir}/sudo";
      as_root = "${asRoot}";
    }}
    ${builtins.readFile ./operator-arguments.sh}
    ${builtins.readFile ./operator-command.sh}
  '';
  rules = [
    {
      groups = [ cfg.group ];
      runAs = "root";
      commands = [
        {
          command = "${asRoot}";
          options = [ "NOPASSWD" ];
        }
      ];
    }
  ];

  grants = pkgs.writeText "paysaga-operator.sql" (builtins.readFile ../migrations/operator.sql);
  grant =
    name:
    "${config.services.postgresql.finalPackage}/bin/psql --no-psqlrc --quiet --set=operator=${userOf "operator"} --set=owner=${ownerOf name} --file=${grants} ${userOf name}";
in
{
  options.services.paysaga.operator = {
    enable = lib.mkEnableOption ''
      the operator's command on this host: `paysaga check`, `failed`, `order`, `top`, `refunds`, `bench`, `demo` and `key`, with the credentials of
      this host, for the members of a group. `key` needs a gateway here that asks for keys (its `settings.AUTHENTICATION`)'';

    package = lib.mkOption {
      type = lib.types.package;
      defaultText = lib.literalMD "the flake's static `paysaga`";
      description = "Package with the program `bin/paysaga`.";
    };

    group = lib.mkOption {
      type = lib.types.str;
      default = "paysaga-operators";
      example = "wheel";
      description = ''
        Whose members may use the credentials: those of an operator, who sees and decides about everything, and can make API keys.
        The group is made if there is none.
      '';
    };

    gateway = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default =
        if hasGateway then
          "http://${addresses.reachable paysaga.gateway.listenAddress}:${toString paysaga.gateway.port}"
        else
          null;
      defaultText = lib.literalMD "the gateway of this host; `null` where there is none";
      example = "https://shop.example.com";
      description = "The gateway's URL.";
    };

    credentials = lib.mkOption {
      type = lib.types.attrsOf lib.types.str;
      default = { };
      example.PAYSAGA_API_KEY = "/run/secrets/paysaga-operator-key";
      description = ''
        Files that hold what this host does not have by itself, by the variable's name: `PAYSAGA_API_KEY` (where the API keys are not
        made on this host), `RABBITMQ_URL`, `ORDER_DATABASE_URL` and `PAYMENT_DATABASE_URL` (where RabbitMQ and PostgreSQL are
        elsewhere; without them `paysaga check` asks the gateway alone). They may be readable by root alone.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ command ];
    users.groups.${cfg.group} = { };
    security.sudo.extraRules = rules;
    security.sudo-rs.extraRules = rules;

    systemd.services.paysaga-operator-databases = lib.mkIf (localDatabases != [ ]) (
      superuser
      // {
        description = "paysaga: the operator's command may read the databases";
        wantedBy = [ "multi-user.target" ];
        after = superuser.after ++ [ "paysaga-databases.service" ];
        wants = superuser.wants ++ [ "paysaga-databases.service" ];
        # A table that is made meanwhile would be left out.
        before = map (name: "paysaga-${name}-migrate.service") localDatabases;
        serviceConfig = superuser.serviceConfig // {
          ExecStart = map grant localDatabases;
          Type = "oneshot";
          RemainAfterExit = true;
          # Rights may be granted to another role at the same time, which PostgreSQL refuses to one of them.
          Restart = "on-failure";
          RestartSec = 5;
        };
      }
    );

    assertions = [
      {
        assertion = cfg.gateway != null;
        message = ''
          ${option} has no gateway: none is on this host. Name it: ${option}.gateway = "https://…".
        '';
      }
      {
        assertion = credentials ? PAYSAGA_API_KEY || hasGateway && !(key.authenticates paysaga.gateway);
        message = ''
          ${option} has no API key: none is made on this host. Name a file that holds one with the scopes admin:read and admin:write
          (paysaga key new): ${option}.credentials.PAYSAGA_API_KEY = "/run/secrets/…".
        '';
      }
      {
        assertion =
          !(
            hasGateway
            && paysaga.gateway.credentials.HTTPS_CERTIFICATE != null
            && lib.hasPrefix "http:" (toString cfg.gateway)
          );
        message = ''
          The gateway speaks HTTPS, and ${option}.gateway is ${cfg.gateway}. Set it to the name in the gateway's certificate:
          ${option}.gateway = "https://…".
        '';
      }
      {
        assertion = config.security.sudo.enable || config.security.sudo-rs.enable;
        message = ''
          ${option} needs sudo, through which the members of ${cfg.group} get the credentials: security.sudo.enable = true, or
          security.sudo-rs.enable = true.
        '';
      }
    ]
    ++ map (variable: {
      assertion = builtins.elem variable [
        "PAYSAGA_API_KEY"
        "RABBITMQ_URL"
        "ORDER_DATABASE_URL"
        "PAYMENT_DATABASE_URL"
      ];
      message = ''
        ${option}.credentials.${variable}: there is no such variable. They are PAYSAGA_API_KEY, RABBITMQ_URL, ORDER_DATABASE_URL
        and PAYMENT_DATABASE_URL.
      '';
    }) (builtins.attrNames cfg.credentials)
    ++ lib.mapAttrsToList (variable: path: {
      assertion = lib.hasPrefix "/" path && !(lib.hasPrefix "${builtins.storeDir}/" path);
      message = ''
        ${option}.credentials.${variable} is ${path}. It must be the absolute path of a file outside of the Nix store, which is
        world-readable.
      '';
    }) cfg.credentials;
  };
}
