# PostgreSQL: local, with a database and two roles for each service, or remote, by URL.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services) paysaga;
  cfg = paysaga.postgresql;
  inherit (import ./accounts.nix) userOf ownerOf;
  superuser = import ./as-superuser.nix { inherit (config.services) postgresql; };
  names = builtins.filter (name: name != "gateway") (import ./enabled.nix { inherit config; });
  # A service works as a role of its own name; another owns the schema, and migrates it.
  services = map userOf names;
  # Reads both.
  operator = lib.optional paysaga.operator.enable (userOf "operator");
  roles = services ++ map ownerOf names ++ operator;
  listed = lib.concatStringsSep ",";

  script = pkgs.writeText "paysaga-databases.sh" (builtins.readFile ./databases.sh);
  rolesFile = pkgs.writeText "paysaga-roles.sql" (builtins.readFile ../migrations/roles.sql);
in
{
  options.services.paysaga.postgresql.createLocally = lib.mkOption {
    type = lib.types.bool;
    default = true;
    description = ''
      Run PostgreSQL on this host, with a database for order and for payment, a role that each works as, and one that owns
      the schema. There are no passwords: they connect through the Unix-domain socket, with peer authentication. The services
      start after it and after their migrations. Otherwise each service needs `credentials.DATABASE_URL`, and
      `credentials.MIGRATION_DATABASE_URL` if another role owns the schema.
    '';
  };

  config = lib.mkIf (cfg.createLocally && services != [ ]) {
    services.postgresql = {
      enable = true;
      ensureDatabases = services;
      ensureUsers = map (name: { inherit name; }) roles;
      # docs/OPERATIONS.md, "PostgreSQL's settings", says why. Set by the host, its own values hold.
      settings = {
        shared_buffers = lib.mkDefault "1GB";
        max_wal_size = lib.mkDefault "4GB";
        checkpoint_timeout = lib.mkDefault "15min";
      };
      # The first line that matches decides. A role can connect to its own database and no other, and only its roles and the
      # administrator can connect to that.
      authentication =
        lib.concatMapStrings (name: "local ${userOf name} ${ownerOf name} peer\n") names
        + lib.concatMapStrings (role: "local ${listed services} ${role} peer\n") operator
        + lib.optionalString paysaga.backup.enable "local replication postgres peer\n"
        + ''
          local sameuser  ${listed services} peer
          local all       ${listed roles} reject
          host  all       ${listed roles} all reject
          local ${listed services} postgres  peer
          local ${listed services} all       reject
          host  ${listed services} all       all reject
        '';
    };

    systemd.services.paysaga-databases = superuser // {
      description = "paysaga: the owners of the services' databases";
      # Nothing migrates before it has succeeded.
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = superuser.serviceConfig // {
        ExecStart = "${pkgs.bash}/bin/bash ${script} ${rolesFile} ${lib.concatStringsSep " " services}";
        Type = "oneshot";
        RemainAfterExit = true;
        Restart = "on-failure";
        RestartSec = 5;
      };
    };
  };
}
