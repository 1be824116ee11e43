# The gateway's file of API keys: the one that it was given, or one with an operator's key that is made on this host.
#
# A unit's credentials are copied when it starts. Keys are revoked while it runs, so their file is copied again whenever it
# changes, and the gateway reads the copy. A change that comes while a copy is made starts no other (systemd drops it), so each
# copy is followed by a second one, by a unit that the path unit does not wait for.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.paysaga.gateway;
  key = import ./gateway-key-file.nix;
  authenticates = key.authenticates cfg;
  isGiven = cfg.credentials.API_KEYS != null;

  script = pkgs.writeText "paysaga-gateway-key.sh" (builtins.readFile ./gateway-key.sh);
  source = if isGiven then cfg.credentials.API_KEYS else "${key.directory}/api-keys";
  # Readable by the gateway only. The directory is its user's; both units name it, since with a dynamic user it is visible to
  # those alone that do.
  copies = "paysaga-gateway-keys";
  copy = "%t/${copies}/api-keys";
  directory = {
    RuntimeDirectory = copies;
    RuntimeDirectoryMode = "0700";
    RuntimeDirectoryPreserve = true;
  };

  copying = "paysaga-gateway-keys.service";
  copyingAgain = "paysaga-gateway-keys-again.service";
  making = lib.optional (!isGiven) "paysaga-gateway-key.service";
  copyAs = suffix: {
    description = "paysaga: copies the API keys to where the gateway reads them";
    serviceConfig =
      import ./hardening.nix
      // directory
      // {
        ExecStart = [
          "${pkgs.coreutils}/bin/install --mode=0400 %d/API_KEYS ${copy}.${suffix}"
          "${pkgs.coreutils}/bin/mv ${copy}.${suffix} ${copy}"
        ];
        User = "paysaga-gateway";
        Type = "oneshot";
        LoadCredential = [ "API_KEYS:${source}" ];
        PrivateNetwork = true;
      };
  };
in
{
  config.assertions = lib.optional cfg.enable {
    assertion = authenticates || !isGiven;
    message = ''
      services.paysaga.gateway has API keys (credentials.API_KEYS) and settings.AUTHENTICATION = "off"; give one of them.
    '';
  };
  config.systemd = lib.mkIf (cfg.enable && authenticates) {
    services = {
      paysaga-gateway = {
        after = [ copying ];
        wants = [ copying ];
        environment.API_KEYS_FILE = copy;
        serviceConfig = directory;
      };

      paysaga-gateway-keys = copyAs "new" // {
        after = making ++ [ copyingAgain ];
        wants = making;
        unitConfig = {
          StartLimitIntervalSec = 0;
          OnSuccess = copyingAgain;
        };
      };
      paysaga-gateway-keys-again = copyAs "again" // {
        unitConfig.StartLimitIntervalSec = 0;
      };
    }
    // lib.optionalAttrs (!isGiven) {
      paysaga-gateway-key = {
        description = "paysaga: the API key of the gateway of this host";
        path = [ pkgs.coreutils ];
        serviceConfig = import ./made-once.nix {
          user = "paysaga-gateway-key";
          inherit (key) directory;
          command = "${pkgs.bash}/bin/bash ${script} operator";
        };
      };
    };

    paths.paysaga-gateway-keys = {
      description = "paysaga: the API keys have changed";
      wantedBy = [ "multi-user.target" ];
      pathConfig.PathChanged = source;
    };
  };
}
