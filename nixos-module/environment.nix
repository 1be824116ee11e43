# From settings and credentials to the environment of a unit.
{ lib }:
{
  # systemd expands % in Environment=, and a variable that it can't expand silently disappears.
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
