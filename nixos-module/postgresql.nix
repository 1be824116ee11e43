# PostgreSQL: local, with a role and a database for each service, or remote, by URL.
{ config, lib, ... }:
let
  cfg = config.services.paysaga.postgresql;
  roles = map (name: "paysaga-${name}") (
    builtins.filter (name: name != "gateway") (import ./enabled.nix { inherit config; })
  );
  listed = lib.concatStringsSep "," roles;
in
{
  options.services.paysaga.postgresql.createLocally = lib.mkOption {
    type = lib.types.bool;
    default = true;
    description = ''
      Run PostgreSQL on this host, with a role and a database for order and for payment. There are no passwords: the
      services connect through the Unix-domain socket, with peer authentication. Otherwise each needs
      `credentials.DATABASE_URL`.
    '';
  };

  config = lib.mkIf (cfg.createLocally && roles != [ ]) {
    services.postgresql = {
      enable = true;
      ensureDatabases = roles;
      ensureUsers = map (name: {
        inherit name;
        ensureDBOwnership = true;
      }) roles;
      # docs/OPERATIONS.md, "PostgreSQL's settings", says why. Set by the host, its own values hold.
      settings = {
        shared_buffers = lib.mkDefault "1GB";
        max_wal_size = lib.mkDefault "4GB";
        checkpoint_timeout = lib.mkDefault "15min";
      };
      # The first line that matches decides. A role can connect to its own database and no other, and only it and the
      # administrator can connect to that.
      authentication = ''
        local sameuser  ${listed} peer
        local all       ${listed} reject
        host  all       ${listed} all reject
        local ${listed} postgres  peer
        local ${listed} all       reject
        host  ${listed} all       all reject
      '';
    };
  };
}
