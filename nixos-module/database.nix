# For order and payment: a database, which is migrated before the service starts.
name:
{ config, lib, ... }:
let
  inherit (config.services) paysaga;
  cfg = paysaga.${name};
  option = "services.paysaga.${name}";
  environment = import ./environment.nix { inherit lib; };

  local = paysaga.postgresql.createLocally;
  credentials = lib.filterAttrs (variable: _: variable == "DATABASE_URL") cfg.credentials;
  dependency = if local then "postgresql.target" else "network-online.target";
  role = "paysaga-${name}";
  # A static binary can't look up the name of its own user, so the URL names the role. There is no password: with peer
  # authentication, PostgreSQL gets the client's user from the kernel.
  url = lib.optionalAttrs local {
    DATABASE_URL = "postgres://${role}@localhost:${toString config.services.postgresql.settings.port}/${role}?host=/run/postgresql";
  };
in
{
  imports = [ ./postgresql.nix ];

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
        after = [ dependency ];
        wants = [ dependency ];
        environment =
          environment.fromSettings (
            {
              SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt";
              # The configuration requires it, a migration does not use it.
              RABBITMQ_URL = "amqp://localhost";
            }
            // url
          )
          // environment.fromCredentials credentials;
        serviceConfig = import ./hardening.nix // {
          ExecStart = "${cfg.package}/bin/${name} --migrate-only";
          User = role;
          Type = "oneshot";
          # Run once for each package: a new package changes the unit, which is then restarted.
          RemainAfterExit = true;
          # It waits for the database, but delays neither the boot nor `nixos-rebuild switch` longer than this. The service is
          # then started anyway, and runs the remaining migrations itself before it serves.
          TimeoutStartSec = "2min";
          LoadCredential = environment.loadCredentials credentials;
        };
      };
    };

    assertions = [
      {
        assertion = !(local && cfg.credentials ? DATABASE_URL);
        message = ''
          ${option}.credentials.DATABASE_URL names a PostgreSQL, and services.paysaga.postgresql.createLocally runs one here.
          To use the named one, set services.paysaga.postgresql.createLocally = false.
        '';
      }
      {
        assertion = local || cfg.credentials ? DATABASE_URL;
        message = ''
          The ${name} service has no database. Name a file that holds its URL (${option}.credentials.DATABASE_URL =
          "/run/secrets/…"), or run PostgreSQL here (services.paysaga.postgresql.createLocally = true).
        '';
      }
    ];
  };
}
