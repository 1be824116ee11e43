# A reverse proxy on this host, which speaks HTTPS in the gateway's place.
{ config, lib, ... }:
let
  cfg = config.services.paysaga.gateway;
  option = "services.paysaga.gateway";
  addresses = import ./addresses.nix { inherit lib; };
  key = import ./gateway-key-file.nix;

  upstream = "http://${addresses.socket cfg.listenAddress cfg.port}";
  isUsed = cfg.enable && cfg.virtualHost != null;
in
{
  options.services.paysaga.gateway = {
    virtualHost = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "shop.example.com";
      description = ''
        The name under which the proxy of this host offers the gateway's API by HTTPS, with a certificate that it gets itself (ACME).
        Everything else about it is `services.nginx.virtualHosts.<name>` or `services.caddy.virtualHosts.<name>`. The gateway stays on
        loopback, and believes the proxy about the addresses of its clients. The firewall is not opened.
      '';
    };

    proxy = lib.mkOption {
      type = lib.types.enum [
        "nginx"
        "caddy"
      ];
      default = "nginx";
      description = "Which proxy that is.";
    };
  };

  config = lib.mkIf isUsed {
    services = {
      # Only processes of this host are there.
      paysaga.gateway.settings.TRUSTED_PROXIES = lib.mkDefault [
        "127.0.0.1"
        "::1"
      ];

      nginx = lib.mkIf (cfg.proxy == "nginx") {
        enable = true;
        virtualHosts.${cfg.virtualHost} = {
          forceSSL = true;
          enableACME = lib.mkDefault true;
          locations."/" = {
            proxyPass = upstream;
            # They would add to what a client says about its address.
            recommendedProxySettings = false;
            extraConfig = ''
              proxy_http_version 1.1;
              proxy_set_header Connection "";
              proxy_set_header Host $host;
              proxy_set_header X-Forwarded-For $remote_addr;
              # A client may wait for 30 s (`Prefer: wait`).
              proxy_read_timeout 60s;
            '';
          };
        };
      };

      # It does not believe clients about their address either, unless servers.trusted_proxies says so.
      caddy = lib.mkIf (cfg.proxy == "caddy") {
        enable = true;
        virtualHosts.${cfg.virtualHost}.extraConfig = "reverse_proxy ${upstream}";
      };
    };

    assertions = [
      {
        assertion = addresses.isLoopback cfg.listenAddress;
        message = ''
          ${option}.virtualHost puts a proxy on this host in front of the gateway, which listens on ${cfg.listenAddress}, beside the
          proxy. Leave ${option}.listenAddress on loopback, or the proxy out.
        '';
      }
      {
        assertion = key.authenticates cfg;
        message = ''
          ${option}.settings.AUTHENTICATION is "off": through the proxy, every client of ${cfg.virtualHost} would be an operator.
          Leave authentication on, or the proxy out.
        '';
      }
      {
        assertion = cfg.credentials.HTTPS_CERTIFICATE == null;
        message = ''
          ${option} has a certificate of its own (credentials.HTTPS_CERTIFICATE) and a proxy that speaks HTTPS in its place
          (virtualHost); give one of them.
        '';
      }
    ];
  };
}
