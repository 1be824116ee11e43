# As much of agenix' module as docs/DEPLOY.md uses (https://github.com/ryantm/agenix, modules/age.nix).
{ lib, ... }:
{
  options.age.secrets = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule (
        { name, ... }:
        {
          options = {
            file = lib.mkOption {
              type = lib.types.path;
              description = "The encrypted file.";
            };
            path = lib.mkOption {
              type = lib.types.str;
              default = "/run/agenix/${name}";
              description = "Where it is decrypted to.";
            };
          };
        }
      )
    );
    default = { };
    description = "Secrets.";
  };
}
