# The token by which order and payment know the gateway: made on this host if all three are here.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services) paysaga;
  token = import ./service-token-file.nix;
  script = pkgs.writeText "paysaga-service-token.sh" (builtins.readFile ./service-token.sh);
in
{
  config.systemd.services.paysaga-service-token = lib.mkIf (token.isMadeHere paysaga) {
    description = "paysaga: the token by which order and payment know the gateway";
    path = [ pkgs.coreutils ];
    serviceConfig = import ./made-once.nix {
      user = "paysaga-service-token";
      inherit (token) directory;
      command = "${pkgs.bash}/bin/bash ${script}";
    };
  };
}
