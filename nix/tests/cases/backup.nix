# Backups of the PostgreSQL of a host.
let
  hosts = import ../hosts.nix;
  inherit (hosts)
    lib
    host
    failures
    several
    ;
  inherit (builtins)
    all
    elem
    head
    ;

  withBackup =
    settings:
    host {
      imports = [ hosts.everything ];
      services.paysaga.backup = {
        enable = true;
      }
      // settings;
    };

  bare = host hosts.everything;
  full = withBackup { };
  elsewhere = withBackup {
    directory = "/mnt/backup";
    schedule = "hourly";
    keep = 24;
  };
  units = config: config.systemd.services;
  sandboxed =
    unit:
    unit.serviceConfig.User == "postgres"
    && unit.serviceConfig.ProtectSystem == "strict"
    && unit.serviceConfig.PrivateNetwork;
in
{
  "without the option nothing is backed up, and replication is not let in" =
    !(units bare ? paysaga-backup)
    && bare.systemd.timers == { }
    && bare.environment.systemPackages == [ ]
    && !(lib.hasInfix "replication" bare.services.postgresql.authentication);
  "the cluster is copied by a schedule, and its log saved from the start" =
    full.systemd.timers.paysaga-backup.timerConfig.OnCalendar == "daily"
    && full.systemd.timers.paysaga-backup.wantedBy == [ "timers.target" ]
    && (units full).paysaga-backup-wal.wantedBy == [ "multi-user.target" ]
    && elem "paysaga-backup-wal.service" (units full).paysaga-backup.wants;
  "the administrator of PostgreSQL alone may copy it, through the socket" =
    lib.hasInfix "\nlocal replication postgres peer\n" full.services.postgresql.authentication
    && !(lib.hasInfix "host  replication" full.services.postgresql.authentication);
  "a backup writes to its directory and to nothing else" =
    all
      (
        name:
        sandboxed (units full).${name}
        && (units full).${name}.serviceConfig.ReadWritePaths == [ "/var/backup/paysaga" ]
      )
      [
        "paysaga-backup"
        "paysaga-backup-wal"
      ]
    && elem "d /var/backup/paysaga 0700 postgres postgres -" full.systemd.tmpfiles.rules;
  "the superuser's units use the tools of the server's own version" =
    let
      server.outPath = "/nix/store/another-postgresql";
      config = host {
        imports = [ hosts.full ];
        services.postgresql.finalPackage = server;
      };
      isOfServer =
        name:
        toString (head (units config).${name}.path) == server.outPath && sandboxed (units config).${name};
    in
    all isOfServer [
      "paysaga-databases"
      "paysaga-operator-databases"
      "paysaga-backup"
      "paysaga-backup-wal"
    ]
    && all (lib.hasPrefix "${server}/bin/psql ") (units config)
    .paysaga-operator-databases.serviceConfig.ExecStart;
  "where, when and how many are options" =
    elsewhere.systemd.timers.paysaga-backup.timerConfig.OnCalendar == "hourly"
    && lib.hasSuffix " /mnt/backup 24" (units elsewhere).paysaga-backup.serviceConfig.ExecStart
    && lib.hasInfix "wal='/mnt/backup/wal'" (
      builtins.readFile (head elsewhere.environment.systemPackages).script
    );
  "a restoration stops every service of the host that is enabled" = lib.hasInfix (lib.concatStringsSep
    " "
    [
      "units=('paysaga-gateway.service'"
      "'paysaga-order-migrate.service' 'paysaga-order.service'"
      "'paysaga-payment-migrate.service' 'paysaga-payment.service')"
    ]
  ) (builtins.readFile (head full.environment.systemPackages).script);

  # --- what is refused, and with which message ---
  "a backup without a local PostgreSQL is refused" =
    hosts.isOneWith (hosts.failuresOf (several.order ++ [ { services.paysaga.backup.enable = true; } ]))
      [
        "createLocally = true"
      ];
  "a directory is refused that has another name, that is PostgreSQL's, or that units have not got" =
    let
      failuresWith =
        directory:
        failures {
          imports = [ hosts.everything ];
          services.paysaga.backup = {
            enable = true;
            inherit directory;
          };
        };
      isRefusedAt =
        directory: hosts.isOneWith (failuresWith directory) [ "backup.directory is ${directory}." ];
    in
    all isRefusedAt [
      "/mnt/my backup"
      "backup"
      "/"
      "/mnt/backup/"
      "/mnt//backup"
      "/mnt/./backup"
      "/mnt/../var/lib/postgresql/17"
      "/mnt/.."
      "/var/lib/postgresql/17/backup"
      "/var/lib/postgresql/17"
      "/var/lib/postgresql"
      "/var"
      "/home"
      "/home/alice/backup"
      "/root/backup"
      "/run/user/0/backup"
      "/tmp/backup"
      "/var/tmp/backup"
    ]
    && all (directory: failuresWith directory == [ ]) [
      "/var/lib/postgresql/17-backup"
      "/mnt/.backup/of..all"
      "/homes/backup"
    ];
}
