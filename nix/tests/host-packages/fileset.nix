# lib.fileset: of files and folders that are listed.
{ lib }:
rec {
  maybeMissing = path: if builtins.pathExists path then [ path ] else [ ];

  unions = builtins.concatMap (
    part:
    if builtins.isList part then
      part
    else if builtins.pathExists part then
      [ part ]
    else
      throw "${toString part} is in a fileset and not on disk"
  );

  toSource =
    { root, fileset }:
    let
      parts = map toString fileset;
      isWithin = folder: path: path == folder || lib.hasPrefix "${folder}/" path;
    in
    builtins.path {
      name = "source";
      path = root;
      filter = path: _: builtins.any (part: isWithin part path || isWithin path part) parts;
    };
}
