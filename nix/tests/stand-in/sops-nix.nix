# As much of sops-nix' module as docs/DEPLOY.md uses (https://github.com/Mic92/sops-nix, modules/sops/default.nix).
{ lib, ... }:
{
  options.sops = {
    defaultSopsFile = lib.mkOption {
      type = lib.types.path;
      description = "The encrypted file of all secrets.";
    };
    secrets = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.submodule (
          { name, ... }:
          {
            options = {
              path = lib.mkOption {
                type = lib.types.str;
                default = "/run/secrets/${name}";
                description = "Where it is decrypted to.";
              };
              restartUnits = lib.mkOption {
                type = lib.types.listOf lib.types.str;
                default = [ ];
                description = "Units that are restarted when it has changed.";
              };
            };
          }
        )
      );
      default = { };
      description = "Secrets.";
    };
  };
}
