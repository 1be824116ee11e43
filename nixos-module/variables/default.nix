# The variables of a service as options: each setting with its type and the program's default, each secret as a file.
#
# A file here lists what `--help` says, in the same words: settings with a type, a default if there is one, and a description,
# and credentials, the secrets, with a description. A test compares them with the README's table, which another compares with
# `--help`.
{ lib, files }:
let
  inherit (lib) types;
  groups = map (file: import file { types = import ./types.nix { inherit lib; }; }) (
    [ ./every-service.nix ] ++ files
  );
  all = kind: builtins.foldl' (known: group: known // group.${kind} or { }) { } groups;

  setting =
    variable:
    lib.mkOption (
      {
        type = types.nullOr variable.type;
        default = null;
        inherit (variable) description;
      }
      // lib.optionalAttrs (variable ? default) {
        defaultText = lib.literalMD "the program's own, `${variable.default}`";
      }
    );
  # The store is readable by every user of the host.
  file = types.nullOr types.externalPath;
  credential =
    description:
    lib.mkOption {
      type = file;
      default = null;
      inherit description;
    };
in
rec {
  settings = all "settings";
  credentials = all "credentials";

  settingsType = types.submodule {
    # OpenTelemetry's.
    freeformType = types.attrsOf (
      types.nullOr (
        types.oneOf [
          types.str
          types.int
          types.float
          types.bool
        ]
      )
    );
    options = lib.mapAttrs (_: setting) settings;
  };

  credentialsType = types.submodule {
    # Whatever may be a setting may be in a file too.
    freeformType = types.attrsOf file;
    options = lib.mapAttrs (_: credential) credentials;
  };
}
