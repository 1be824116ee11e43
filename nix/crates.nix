# The crates of the workspace: where they are, and which of them each is made of, as their manifests say.
{ lib }:
let
  isFolder = _: kind: kind == "directory";
  directories = {
    contracts = ../contracts;
    tests = ../tests;
  }
  // lib.mapAttrs (name: _: ../services + "/${name}") (
    lib.filterAttrs isFolder (builtins.readDir ../services)
  );

  # Not what its tests need besides.
  dependencies = lib.mapAttrs (
    _: directory:
    builtins.filter (name: directories ? ${name}) (
      builtins.attrNames (lib.importTOML (directory + "/Cargo.toml")).dependencies or { }
    )
  ) directories;

  partsOf = name: lib.unique ([ name ] ++ lib.concatMap partsOf dependencies.${name});
in
{
  inherit directories partsOf;
  names = builtins.attrNames directories;
}
