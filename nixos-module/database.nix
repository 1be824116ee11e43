# For order and payment: a database, which is migrated before the service starts, by a role that owns its schema.
name:
{ config, lib, ... }:
let
  inherit (config.services) paysaga;
  cfg = paysaga.${name};
  option = "services.paysaga.${name}";
  environment = import ./environment.nix { inherit lib; };

  local = paysaga.postgresql.createLocally;
  credentials = lib.filterAttrs (variable: _: lib.hasSuffix "DATABASE_URL" variable) cfg.credentials;
  dependency = if local then "postgresql.target" else "network-online.target";
  migrateAfter = [ dependency ] ++ lib.optional local "paysaga-databases.service";
  accounts = import ./accounts.nix;
  role = accounts.userOf name;
  owner = accounts.ownerOf name;
  # A static binary can't look up the name of its own user, so the URL names the role. There is no password: with peer
  # authentication, PostgreSQL gets the client's user from the kernel.
  urlAs =
    user:
    "postgres://${user}@localhost:${toString config.services.postgresql.settings.port}/${role}?host=/run/postgresql";
  url = lib.optionalAttrs local { DATABASE_URL = urlAs role; };
  migrationUrl = lib.optionalAttrs local { MIGRATION_DATABASE_URL = urlAs owner; };
in
{
  imports = [
    ./postgresql.nix
    ./backup.nix
  ];

  config = lib.mkIf cfg.enable {
    systemd.services = {
      "paysaga-${name}" = {
        after = [
          dependency
          "paysaga-${name}-migrate.service"
        ];
        wants = [
          dependency
          "paysaga-${name}-migrate.service"
        ];
        environment = environment.fromSettings url;
      };

      "paysaga-${name}-migrate" = {
        description = "paysaga ${name}: brings its database schema up to date";
        # What it needs may be unavailable indefinitely.
        unitConfig.StartLimitIntervalSec = 0;
        after = migrateAfter;
        wants = migrateAfter;
        environment =
          environment.fromSettings (
            {
              SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt";
            }
            // {
              inherit (cfg.settings) ALLOW_PLAINTEXT;
            }
            // url
            // migrationUrl
          )
          // environment.fromCredentials credentials;
        serviceConfig = import ./hardening.nix // {
          ExecStart = "${cfg.package}/bin/${name} --migrate-only";
          User = if local then owner else role;
          # It delays neither the boot nor `nixos-rebuild switch`, however long it takes: the service waits until its schema is up
          # to date.
          Type = "exec";
          # Run once for each package: a new package changes the unit, which is then restarted.
          RemainAfterExit = true;
          Restart = "on-failure";
          RestartSec = 5;
          LoadCredential = environment.loadCredentials credentials;
        };
      };
    };

    assertions = [
      {
        assertion = !(local && cfg.credentials.DATABASE_URL != null);
        message = ''
          ${option}.credentials.DATABASE_URL names a PostgreSQL, and services.paysaga.postgresql.createLocally runs one here.
          To use the named one, set services.paysaga.postgresql.createLocally = false.
        '';
      }
      {
        assertion = !(local && cfg.credentials.MIGRATION_DATABASE_URL != null);
        message = ''
          ${option}.credentials.MIGRATION_DATABASE_URL is for a PostgreSQL elsewhere, and services.paysaga.postgresql.createLocally
          runs one here, where the role ${owner} migrates the schema.
        '';
      }
      {
        assertion = local || cfg.credentials.DATABASE_URL != null;
        message = ''
          The ${name} service has no database. Name a file that holds its URL (${option}.credentials.DATABASE_URL =
          "/run/secrets/…"), or run PostgreSQL here (services.paysaga.postgresql.createLocally = true).
        '';
      }
    ];
  };
}
