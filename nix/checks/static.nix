# The program that is shipped is static, starts with nothing around it, and brings nothing along.
{ pkgs, package }:
pkgs.runCommand "paysaga-static-${package.pname}"
  {
    nativeBuildInputs = [ pkgs.file ];
    closure = "${pkgs.closureInfo { rootPaths = [ package ]; }}/store-paths";
    meta.description = "${package.pname} is static and alone";
  }
  ''
    program=${package}/bin/${package.pname}
    file $program | grep -E 'static-pie|statically'
    env -i $program --version
    [ "$(cat $closure)" = ${package} ] || { echo 'it is not alone:'; cat $closure; exit 1; }
    touch $out
  ''
