# An image with one static program, certificate authorities and /tmp: without a shell, and not run as root.
#   nix build .#order-image && docker load < result
{
  lib,
  pkgs,
  package,
  # The commit that it is made from, if that is known.
  revision,
  port ? null,
}:
let
  name = package.pname;
  # Of health and metrics.
  managementPort = port + 1000;
in
lib.addMetaAttrs { description = "OCI image of ${package.meta.description}"; } (
  pkgs.dockerTools.buildLayeredImage {
    name = "paysaga/${name}";
    tag = package.version;
    contents = [ pkgs.dockerTools.caCertificates ];
    extraCommands = "mkdir -m 1777 tmp";
    # Time stamps stay at the epoch: the same source makes the same image.
    config = {
      Entrypoint = [ (lib.getExe package) ];
      User = "65532:65532";
      WorkingDir = "/tmp";
      StopSignal = "SIGTERM";
      Env = [
        "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
      ]
      # The container's loopback can't be reached from outside.
      ++ lib.optionals (port != null) [
        "LISTEN_ADDRESS=0.0.0.0"
        "MANAGEMENT_ADDRESS=0.0.0.0:${toString managementPort}"
      ];
      ExposedPorts = lib.optionalAttrs (port != null) {
        "${toString port}/tcp" = { };
        "${toString managementPort}/tcp" = { };
      };
      Labels = {
        "org.opencontainers.image.title" = "paysaga ${name}";
        "org.opencontainers.image.description" = package.meta.description;
        "org.opencontainers.image.version" = package.version;
        "org.opencontainers.image.licenses" = package.meta.license.spdxId;
        "org.opencontainers.image.source" = package.meta.homepage;
      }
      // lib.optionalAttrs (revision != null) { "org.opencontainers.image.revision" = revision; };
    };
  }
)
