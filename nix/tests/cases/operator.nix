# The operator's command on a host: who may run it, as whom, and with what.
let
  hosts = import ../hosts.nix;
  inherit (hosts) lib host failures;
  inherit (builtins)
    all
    elem
    head
    length
    ;

  withOperator =
    settings:
    host {
      imports = [ hosts.everything ];
      services.paysaga.operator = {
        enable = true;
      }
      // settings;
    };
  refusals =
    configuration:
    failures {
      imports = [
        hosts.everything
        configuration
      ];
      services.paysaga.operator.enable = true;
    };
  isRefused = configuration: hosts.isOneWith (refusals configuration);

  bare = host hosts.everything;
  full = withOperator { };
  # On a host without a service.
  alone = {
    services.paysaga.operator = {
      enable = true;
      gateway = "https://shop.example.com";
      credentials.PAYSAGA_API_KEY = "/run/secrets/key";
    };
  };
  # On a host with the module of one service, which has no options of a gateway.
  beside =
    settings:
    hosts.several.order
    ++ [
      {
        services.paysaga.operator = {
          enable = true;
        }
        // settings;
      }
    ];
  besideOrder = beside alone.services.paysaga.operator;
  scriptOf = config: builtins.readFile (head config.environment.systemPackages).script;
  ruleOf = config: head config.security.sudo.extraRules;
  asRoot = config: builtins.readFile (head (ruleOf config).commands).command;
  says = config: text: lib.hasInfix text (asRoot config);
in
{
  "without the option there is no command, no group, no rule, no role and no user of the broker" =
    bare.environment.systemPackages == [ ]
    && bare.users.groups == { }
    && !(bare.security.sudo ? extraRules)
    && all (user: user.name != "paysaga-operator") bare.services.postgresql.ensureUsers
    && !(lib.hasInfix "operator" bare.services.postgresql.authentication);
  "members of the group run one program as root, and it is not `paysaga`" =
    (ruleOf full).groups == [ "paysaga-operators" ]
    && length full.security.sudo.extraRules == 1
    && full.security.sudo-rs.extraRules == full.security.sudo.extraRules
    && length (ruleOf full).commands == 1
    && lib.hasSuffix "-paysaga-operator" (head (ruleOf full).commands).command
    && full.users.groups ? paysaga-operators;
  "the group is an option" =
    (ruleOf (withOperator {
      group = "wheel";
    })).groups == [ "wheel" ]
    && lib.hasInfix "group='wheel'" (
      scriptOf (withOperator {
        group = "wheel";
      })
    );
  "the program is confined, and gets the credentials of this host as files" =
    says full "'--property=DynamicUser=true'"
    && says full "'--property=ProtectSystem=strict'"
    && says full "'--property=SystemCallFilter=~@privileged @resources'"
    && says full "['PAYSAGA_API_KEY']='/var/lib/paysaga-gateway-key/api-key'"
    && says full "['RABBITMQ_URL']='/var/lib/paysaga-rabbitmq/operator.url'"
    && says full "['ORDER_DATABASE_URL']='postgres://paysaga-operator@localhost:5432/paysaga-order?host=/run/postgresql'"
    && says full "made_keys='/var/lib/paysaga-gateway-key'"
    && says full "gateway='http://127.0.0.1:3000'";
  "what is named is used instead of what is here" =
    let
      elsewhere = withOperator {
        gateway = "https://shop.example.com";
        credentials = {
          PAYSAGA_API_KEY = "/run/secrets/key";
          ORDER_DATABASE_URL = "/run/secrets/url";
        };
      };
    in
    says elsewhere "['PAYSAGA_API_KEY']='/run/secrets/key'"
    && says elsewhere "['ORDER_DATABASE_URL']='/run/secrets/url'"
    && !(says elsewhere "['ORDER_DATABASE_URL']='postgres:")
    && says elsewhere "gateway='https://shop.example.com'";
  "given keys are not changed here" =
    let
      given = withOperator { credentials.PAYSAGA_API_KEY = "/run/secrets/key"; };
      config = host {
        imports = [ hosts.everything ];
        services.paysaga.gateway.credentials.API_KEYS = "/run/secrets/keys";
        services.paysaga.operator = {
          enable = true;
          credentials.PAYSAGA_API_KEY = "/run/secrets/key";
        };
      };
    in
    says given "made_keys='/var/lib/paysaga-gateway-key'"
    && says config "made_keys=''"
    && says config "['API_KEYS']='/run/secrets/keys'";
  "it reads both databases as a role of its own, before they are migrated" =
    let
      unit = full.systemd.services.paysaga-operator-databases;
    in
    elem { name = "paysaga-operator"; } full.services.postgresql.ensureUsers
    && lib.hasInfix "local paysaga-order,paysaga-payment paysaga-operator peer" full.services.postgresql.authentication
    && elem "paysaga-order-migrate.service" unit.before
    && length unit.serviceConfig.ExecStart == 2;
  "the operator's user of the broker has no right but to come in" =
    let
      units = full.systemd.services;
      definitions = builtins.fromJSON (
        builtins.readFile (builtins.elemAt units.rabbitmq.restartTriggers 1)
      );
    in
    builtins.filter (permission: permission.user == "paysaga-operator") definitions.permissions == [
      {
        user = "paysaga-operator";
        vhost = "paysaga";
        configure = "^$";
        write = "^$";
        read = "^$";
      }
    ]
    && length definitions.users == 4
    && all (permission: permission.user != "paysaga-operator") definitions.topic_permissions
    && lib.hasSuffix " operator" units.paysaga-rabbitmq-accounts.serviceConfig.ExecStart;
  "a host without a service has the command for a gateway elsewhere" =
    failures alone == [ ]
    && (host alone).systemd.services == { }
    && says (host alone) "gateway='https://shop.example.com'"
    && says (host alone) "declare -A databases=()";
  "a host with one service's module has the command for a gateway elsewhere" =
    hosts.failuresOf besideOrder == [ ]
    && says (hosts.nixos besideOrder) "gateway='https://shop.example.com'";

  # --- what is refused, and with which message ---
  "an operator without a gateway is refused" =
    let
      messages = modules: builtins.filter (lib.hasInfix "operator.gateway = ") (hosts.failuresOf modules);
    in
    length (messages (beside { })) == 1
    &&
      length (messages [
        (import ../flake.nix).nixosModules.default
        { services.paysaga.operator.enable = true; }
      ]) == 1;
  "an operator without a key is refused" = isRefused {
    services.paysaga.gateway.credentials.API_KEYS = "/run/secrets/keys";
  } [ "operator.credentials.PAYSAGA_API_KEY" ];
  "a gateway without authentication needs no key, and the command says that it has none" =
    let
      open.services.paysaga.gateway.settings.AUTHENTICATION = "off";
      config = host {
        imports = [
          hosts.everything
          open
        ];
        services.paysaga.operator.enable = true;
      };
    in
    refusals open == [ ]
    && says config "made_keys=''\n"
    && says config "asks for API keys (AUTHENTICATION)";
  "a gateway with a certificate and no name for the operator is refused" = isRefused {
    services.paysaga.gateway.credentials = {
      HTTPS_CERTIFICATE = "/run/secrets/https.pem";
      HTTPS_KEY = "/run/secrets/https-key.pem";
    };
  } [ "operator.gateway" ];
  "a host without sudo is refused" = isRefused { security.sudo.enable = false; } [ "sudo" ];
  "an unknown credential is refused" = isRefused {
    services.paysaga.operator.credentials.DATABASE_URL = "/run/secrets/url";
  } [ "no such variable" ];
  "a credential in the Nix store is refused" = isRefused {
    services.paysaga.operator.credentials.RABBITMQ_URL =
      "${builtins.storeDir}/00000000000000000000000000000000-url";
  } [ "outside of the Nix store" ];
}
