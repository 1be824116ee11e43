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
    serviceConfig = import ./hardening.nix // {
      ExecStart = "${pkgs.bash}/bin/bash ${script}";
      User = "paysaga-service-token";
      Type = "oneshot";
      RemainAfterExit = true;
      StateDirectory = baseNameOf token.directory;
      StateDirectoryMode = "0700";
      WorkingDirectory = token.directory;
      PrivateNetwork = true;
    };
  };
}
