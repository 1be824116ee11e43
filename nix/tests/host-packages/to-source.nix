# lib.fileset.toSource: of files and folders that are listed.
{ lib }:
{ root, fileset }:
let
  parts = map toString fileset;
  isWithin = folder: path: path == folder || lib.hasPrefix "${folder}/" path;
in
builtins.path {
  name = "source";
  path = root;
  filter = path: _: builtins.any (part: isWithin part path || isWithin path part) parts;
}
