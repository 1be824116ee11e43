# Jaeger 2, which nixpkgs does not have: the binary release, static and with its web pages.
{ lib, pkgs }:
pkgs.stdenvNoCC.mkDerivation (final: {
  pname = "jaeger";
  version = "2.20.0";
  src = pkgs.fetchurl {
    url = "https://github.com/jaegertracing/jaeger/releases/download/v${final.version}/jaeger-${final.version}-linux-amd64.tar.gz";
    hash = "sha256-yWc2i6Cb41YInvfoqrKnbRcNwAf/bM95JcgWft4pANc=";
  };
  dontConfigure = true;
  dontBuild = true;
  installPhase = ''
    runHook preInstall
    install -D --mode=755 jaeger $out/bin/jaeger
    runHook postInstall
  '';
  meta = {
    description = "Jaeger: where the traces of the sagas can be seen";
    homepage = "https://www.jaegertracing.io";
    license = lib.licenses.asl20;
    mainProgram = "jaeger";
    platforms = [ "x86_64-linux" ];
    sourceProvenance = [ lib.sourceTypes.binaryNativeCode ];
  };
})
