# The packaged program is static, starts in an empty environment, and its closure is itself.
{ pkgs, package }:
pkgs.runCommand "paysaga-static-${package.pname}"
  {
    nativeBuildInputs = [ pkgs.file ];
    closure = "${pkgs.closureInfo { rootPaths = [ package ]; }}/store-paths";
    meta.description = "${package.pname} is static and has no dependencies";
  }
  ''
    program=${package}/bin/${package.pname}
    file $program | grep -E 'static-pie|statically'
    env -i $program --version
    [ "$(cat $closure)" = ${package} ] || { echo 'its closure is not itself:'; cat $closure; exit 1; }
    touch $out
  ''
