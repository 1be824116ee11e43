# The environment of a unit, from settings and credentials.
{ lib }:
rec {
  # Those that are set. For the others, which are null, the program has a default.
  given = lib.filterAttrs (_: value: value != null);

  # systemd expands specifiers in Environment=, and drops a variable that it can't expand.
  fromSettings =
    let
      text =
        value:
        if builtins.isString value then
          value
        else if builtins.isList value then
          lib.concatStringsSep "," value
        else
          # Not toString, which writes 0.1 as 0.100000.
          builtins.toJSON value;
    in
    settings:
    lib.mapAttrs (_: value: builtins.replaceStrings [ "%" ] [ "%%" ] (text value)) (given settings);

  # Each variable may be given as NAME_FILE. %d is the unit's directory of credentials.
  fromCredentials =
    credentials:
    lib.mapAttrs' (name: _: {
      name = "${name}_FILE";
      value = "%d/${name}";
    }) (given credentials);

  loadCredentials =
    credentials: lib.mapAttrsToList (name: path: "${name}:${path}") (given credentials);
}
