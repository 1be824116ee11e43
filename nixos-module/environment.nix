# The environment of a unit, from settings and credentials.
{ lib }:
{
  # systemd expands specifiers in Environment=, and drops a variable that it can't expand.
  fromSettings =
    let
      # Not toString, which writes 0.1 as 0.100000.
      text = value: if builtins.isString value then value else builtins.toJSON value;
    in
    lib.mapAttrs (_: value: builtins.replaceStrings [ "%" ] [ "%%" ] (text value));

  # Each variable may be given as NAME_FILE. %d is the unit's directory of credentials.
  fromCredentials = lib.mapAttrs' (
    name: _: {
      name = "${name}_FILE";
      value = "%d/${name}";
    }
  );

  loadCredentials = lib.mapAttrsToList (name: path: "${name}:${path}");
}
