# The only service that clients reach. It has no database.
{ config, lib, ... }:
let
  inherit (config.services) paysaga;
  cfg = paysaga.gateway;
  addresses = import ./addresses.nix { inherit lib; };

  # Where order and payment are, if they run here too.
  urls = lib.mapAttrs' (name: variable: {
    name = variable;
    value =
      let
        service = paysaga.${name};
      in
      "${
        if service.credentials.TLS_CERTIFICATE != null then "https" else "http"
      }://${addresses.reachable service.listenAddress}:${toString service.port}";
  }) (lib.filterAttrs (name: _: paysaga.${name}.enable or false) upstreams);
  isCredential = variable: cfg.credentials.${variable} or null != null;
  upstreams = {
    order = "ORDER_SERVICE_URL";
    payment = "PAYMENT_SERVICE_URL";
  };
in
{
  imports = [
    ./gateway-keys.nix
    ./virtual-host.nix
    (import ./service.nix {
      name = "gateway";
      about = "the only door: turns commands into events, and answers queries by asking the other services";
      port = 3000;
      variables = [ ./variables/gateway.nix ];
      followed = [ "API_KEYS" ];
      https = [
        "HTTPS_CERTIFICATE"
        "HTTPS_KEY"
      ];
    })
  ];

  config = lib.mkIf cfg.enable {
    services.paysaga.gateway.settings = lib.mapAttrs (_: lib.mkDefault) (
      lib.filterAttrs (variable: _: !isCredential variable) urls
    );

    assertions = lib.mapAttrsToList (name: variable: {
      assertion = cfg.settings.${variable} != null || isCredential variable;
      message = ''
        The gateway has no address of the ${name} service. Enable it here (services.paysaga.${name}.enable = true),
        or set its URL: services.paysaga.gateway.settings.${variable} = "http://…".
      '';
    }) upstreams;
  };
}
