# An operator's API key, made on this host, where the gateway has been given no keys.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.paysaga.gateway;
  makesKey = (cfg.settings.AUTHENTICATION or "on") != "off" && !(cfg.credentials ? API_KEYS);

  unit = "paysaga-gateway-key.service";
  script = pkgs.writeText "paysaga-gateway-key.sh" (builtins.readFile ./gateway-key.sh);
  # Readable by root only.
  directory = "/var/lib/paysaga-gateway-key";
  caller = "operator";
in
{
  config = lib.mkIf (cfg.enable && makesKey) {
    systemd.services = {
      paysaga-gateway = {
        after = [ unit ];
        wants = [ unit ];
        environment = {
          API_KEYS_FILE = "%d/API_KEYS";
        }
        // lib.optionalAttrs (!(cfg.settings ? OPERATORS)) { OPERATORS = caller; };
        serviceConfig.LoadCredential = [ "API_KEYS:${directory}/api-keys" ];
      };

      paysaga-gateway-key = {
        description = "paysaga: the API key of the gateway of this host";
        before = [ "paysaga-gateway.service" ];
        path = [ pkgs.coreutils ];
        serviceConfig = import ./hardening.nix // {
          ExecStart = "${pkgs.bash}/bin/bash ${script} ${caller}";
          User = "paysaga-gateway-key";
          Type = "oneshot";
          RemainAfterExit = true;
          StateDirectory = baseNameOf directory;
          StateDirectoryMode = "0700";
          WorkingDirectory = directory;
          PrivateNetwork = true;
        };
      };
    };
  };
}
