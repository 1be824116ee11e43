# What order and payment have beyond the gateway: a database, brought up to date before the service starts.
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
  # A static binary can't look up the name of its own user, so the URL says the role. The password is the socket's:
  # PostgreSQL asks the kernel who is at the other end.
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
              # Read with the rest of the configuration, and never used.
              RABBITMQ_URL = "amqp://localhost";
            }
            // url
          )
          // environment.fromCredentials credentials;
        serviceConfig = import ./hardening.nix // {
          ExecStart = "${cfg.package}/bin/${name} --migrate-only";
          User = role;
          Type = "oneshot";
          # Done once for a package: a new one makes a new unit, which is started again.
          RemainAfterExit = true;
          # It waits for the database, but neither the boot nor `nixos-rebuild switch` waits for it longer than this. The
          # service comes then all the same, and does what is left by itself before it serves.
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
          To use the first, set services.paysaga.postgresql.createLocally = false.
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
