# RabbitMQ: local, with a user for each service, or remote, by URL.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services) paysaga;
  cfg = paysaga.rabbitmq;
  enabled = import ./enabled.nix { inherit config; };
  inherit (import ./accounts.nix) userOf;
  accounts = import ./rabbitmq-accounts.nix;

  unit = "paysaga-rabbitmq-accounts.service";
  script = pkgs.writeText "paysaga-rabbitmq-accounts.sh" (builtins.readFile ./rabbitmq-accounts.sh);
  # What RabbitMQ imports when it starts (https://www.rabbitmq.com/docs/definitions): topology and permissions, and the users. On
  # the host, @SERVICE@ is replaced by the hash of the service's password.
  definitions = builtins.fromJSON (builtins.readFile ../packaging/rabbitmq-definitions.json);
  operator = lib.optional paysaga.operator.enable "operator";
  users = map (name: {
    name = userOf name;
    password_hash = "@${name}@";
    hashing_algorithm = "rabbit_password_hashing_sha256";
    tags = [ ];
  }) (accounts.services ++ operator);
  # How many messages a queue has may be asked by any user of the virtual host.
  permissions =
    definitions.permissions
    ++ map (name: {
      user = userOf name;
      inherit (accounts) vhost;
      configure = "^$";
      write = "^$";
      read = "^$";
    }) operator;
  template = pkgs.writeText "paysaga-rabbitmq-definitions.json" (
    builtins.toJSON (definitions // { inherit users permissions; })
  );
  address = "127.0.0.1:${toString config.services.rabbitmq.port}";
in
{
  options.services.paysaga.rabbitmq.createLocally = lib.mkOption {
    type = lib.types.bool;
    default = true;
    description = ''
      Run RabbitMQ on this host, with a user for each service that has the permissions it needs and no others. Passwords
      are generated on the host, once, in ${accounts.directory}. The services start after it, reach it on loopback, and verify
      its exchanges and queues instead of declaring them (BROKER_TOPOLOGY). Otherwise each service needs
      `credentials.RABBITMQ_URL`, and nothing else of this host is about RabbitMQ.
    '';
  };

  config = lib.mkIf (cfg.createLocally && enabled != [ ]) {
    services.rabbitmq = {
      enable = true;
      # Imported whenever the broker starts. Of what exists already, only users and permissions are overwritten. With
      # definitions at its first start, RabbitMQ creates no user `guest`.
      configItems.load_definitions = "/run/credentials/rabbitmq.service/definitions.json";
    };

    systemd.services = {
      rabbitmq = {
        # Not `requires`: a restart of that unit must not stop the broker.
        after = [ unit ];
        wants = [ unit ];
        restartTriggers = [
          script
          template
        ];
        serviceConfig.LoadCredential = [ "definitions.json:${accounts.definitionsFile}" ];
      };

      paysaga-rabbitmq-accounts = {
        description = "paysaga: passwords and permissions of the services on the local RabbitMQ";
        before = [ "rabbitmq.service" ];
        path = [
          pkgs.coreutils
          pkgs.gnused
        ];
        serviceConfig = import ./made-once.nix {
          user = "paysaga-rabbitmq-accounts";
          inherit (accounts) directory;
          command = lib.concatStringsSep " " (
            [
              "${pkgs.bash}/bin/bash"
              "${script}"
              "${template}"
              address
              accounts.vhost
            ]
            ++ accounts.services
            ++ operator
          );
        };
      };
    };

    warnings = lib.optional (!config.networking.firewall.enable) ''
      paysaga runs RabbitMQ on this host, whose firewall is off. AMQP listens on loopback, but Erlang's ports 4369 and 25672
      are open to the network.
    '';
  };
}
