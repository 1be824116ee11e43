# Backups of the PostgreSQL of this host: a copy of the cluster at times, and its log at all times. Both databases are restored from
# them to one moment, which dumps of two databases have not got.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services) paysaga postgresql;
  cfg = paysaga.backup;
  option = "services.paysaga.backup";
  enabled = import ./enabled.nix { inherit config; };
  hasDatabases = paysaga.postgresql.createLocally && builtins.any (name: name != "gateway") enabled;

  slot = "paysaga_backup";
  wal = "${cfg.directory}/wal";
  script = pkgs.writeText "paysaga-backup.sh" (builtins.readFile ./backup.sh);
  superuser = import ./as-superuser.nix { inherit postgresql; };
  unit = superuser // {
    path = superuser.path ++ [ pkgs.coreutils ];
  };
  sandbox = superuser.serviceConfig // {
    ReadWritePaths = [ cfg.directory ];
  };

  # A path below another, or that itself.
  isBelow = above: path: lib.hasPrefix "${toString above}/" "${toString path}/";
  # By ProtectHome and PrivateTmp.
  hiddenFromUnits = [
    "/home"
    "/root"
    "/run/user"
    "/tmp"
    "/var/tmp"
  ];

  restore = pkgs.writeShellScriptBin "paysaga-restore" ''
    ${lib.toShellVars {
      inherit (cfg) directory;
      inherit wal;
      data = postgresql.dataDir;
      inherit (postgresql.settings) port;
      cp = "${pkgs.coreutils}/bin/cp";
      path = lib.makeBinPath [
        postgresql.finalPackage
        config.systemd.package
        pkgs.coreutils
        pkgs.util-linux
      ];
      units = lib.concatMap (
        name:
        # A database of an earlier version is migrated again.
        lib.optional (name != "gateway") "paysaga-${name}-migrate.service" ++ [ "paysaga-${name}.service" ]
      ) enabled;
    }}
    ${builtins.readFile ./restore.sh}
  '';
in
{
  options.services.paysaga.backup = {
    enable = lib.mkEnableOption "backups of the PostgreSQL of this host, with everything in it, from which `paysaga-restore` restores any moment since the oldest";

    directory = lib.mkOption {
      type = lib.types.str;
      default = "/var/backup/paysaga";
      description = ''
        Where they are kept, readable by `postgres` and root alone: better on another disk, and copied to another host from there.
      '';
    };

    schedule = lib.mkOption {
      type = lib.types.str;
      default = "daily";
      example = "*-*-* 03:00:00";
      description = ''
        When the whole cluster is copied (systemd's OnCalendar). The log is saved all the time; the more of it there is since the last
        copy, the longer a restoration takes.
      '';
    };

    keep = lib.mkOption {
      type = lib.types.ints.positive;
      default = 7;
      description = ''
        How many copies are kept, with the log since the oldest of them. Older ones are deleted once a new one is complete and
        verified.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ restore ];
    systemd.tmpfiles.rules = [
      "d ${cfg.directory} 0700 postgres postgres -"
      "d ${wal} 0700 postgres postgres -"
    ];

    # While nothing takes the log, PostgreSQL keeps it: so much of it at most, rather than fill its disk.
    services.postgresql.settings.max_slot_wal_keep_size = lib.mkDefault "16GB";

    systemd.services = {
      paysaga-backup-wal = unit // {
        description = "paysaga: saves PostgreSQL's log";
        wantedBy = [ "multi-user.target" ];
        unitConfig.StartLimitIntervalSec = 0;
        serviceConfig = sandbox // {
          # The slot keeps the log until it is saved.
          ExecStartPre = "${postgresql.finalPackage}/bin/pg_receivewal --no-password --create-slot --if-not-exists --slot=${slot}";
          # What it can't go on with shows as a unit that is not active: by itself it would try again for as long as it runs.
          ExecStart = "${postgresql.finalPackage}/bin/pg_receivewal --no-password --no-loop --slot=${slot} --directory=${wal}";
          Type = "exec";
          Restart = "always";
          RestartSec = 5;
        };
      };

      paysaga-backup = unit // {
        description = "paysaga: a copy of PostgreSQL's cluster";
        after = superuser.after ++ [ "paysaga-backup-wal.service" ];
        wants = superuser.wants ++ [ "paysaga-backup-wal.service" ];
        serviceConfig = sandbox // {
          ExecStart = "${pkgs.bash}/bin/bash ${script} ${cfg.directory} ${toString cfg.keep}";
          Type = "oneshot";
        };
      };
    };

    systemd.timers.paysaga-backup = {
      description = "paysaga: a copy of PostgreSQL's cluster";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.schedule;
        # One that was missed is made up for.
        Persistent = true;
      };
    };

    assertions = [
      {
        assertion = hasDatabases;
        message = ''
          ${option} backs up the PostgreSQL of this host, and there is none of paysaga's here. Enable it where order or payment run
          with services.paysaga.postgresql.createLocally = true, or back up the PostgreSQL elsewhere where it runs.
        '';
      }
      {
        assertion =
          builtins.match "/[A-Za-z0-9/._-]*" cfg.directory != null
          && builtins.match ".*/[.]?[.]?(/.*)?" cfg.directory == null
          && !(isBelow postgresql.dataDir cfg.directory)
          && !(isBelow cfg.directory postgresql.dataDir)
          && !(builtins.any (hidden: isBelow hidden cfg.directory) hiddenFromUnits);
        message = ''
          ${option}.directory is ${cfg.directory}. It must be an absolute path of letters, digits and ._- alone, without `.`, `..` and a
          slash at its end, neither in PostgreSQL's own directory nor around it, nor below one that is hidden from units
          (${lib.concatStringsSep ", " hiddenFromUnits}).
        '';
      }
    ];
  };
}
