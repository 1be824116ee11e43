# A proxy in front of the gateway.
let
  hosts = import ../hosts.nix;
  inherit (hosts) lib host failures;
  inherit (builtins)
    attrNames
    ;

  behind = settings: {
    imports = [ hosts.everything ];
    services.paysaga.gateway = {
      virtualHost = "shop.example.com";
    }
    // settings;
  };
  isRefused = settings: hosts.isRefused (behind settings);

  bare = host hosts.everything;
  nginx = host (behind { });
  caddy = host (behind {
    proxy = "caddy";
    port = 8000;
  });
  site = nginx.services.nginx.virtualHosts."shop.example.com";
  environmentOf = config: config.systemd.services.paysaga-gateway.environment;
in
{
  "without a virtual host there is no proxy, and none is believed" =
    !(bare.services.nginx ? enable)
    && !(bare.services.caddy ? enable)
    && !(environmentOf bare ? TRUSTED_PROXIES);
  "both proxies pass the assertions" =
    failures (behind { }) == [ ]
    &&
      failures (behind {
        proxy = "caddy";
      }) == [ ];
  "nginx speaks HTTPS alone, with a certificate of its own, for the API and nothing else" =
    nginx.services.nginx.enable
    && site.forceSSL
    && site.enableACME
    && attrNames site.locations == [ "/" ]
    && site.locations."/".proxyPass == "http://127.0.0.1:3000"
    && !(nginx.services.caddy ? enable);
  "a certificate from elsewhere takes the place of ACME's" =
    !(host {
      imports = [ (behind { }) ];
      services.nginx.virtualHosts."shop.example.com".enableACME = false;
    }).services.nginx.virtualHosts."shop.example.com".enableACME;
  "nginx says where a client is, in place of what the client says" =
    lib.hasInfix "proxy_set_header X-Forwarded-For $remote_addr;" site.locations."/".extraConfig
    && !site.locations."/".recommendedProxySettings;
  "Caddy does the same" =
    caddy.services.caddy.virtualHosts."shop.example.com".extraConfig
    == "reverse_proxy http://127.0.0.1:8000"
    && !(caddy.services.nginx ? enable);
  "the gateway stays on loopback, and believes the proxy of this host" =
    (environmentOf nginx).LISTEN_ADDRESS == "127.0.0.1"
    && (environmentOf nginx).TRUSTED_PROXIES == "127.0.0.1,::1"
    && nginx.systemd.services.paysaga-gateway.serviceConfig.IPAddressAllow == [ "localhost" ]
    &&
      (environmentOf (
        host (behind {
          settings.TRUSTED_PROXIES = "127.0.0.1,10.0.0.0/8";
        })
      )).TRUSTED_PROXIES == "127.0.0.1,10.0.0.0/8";

  # --- what is refused, and with which message ---
  "a proxy in front of a gateway without authentication is refused" = isRefused {
    settings.AUTHENTICATION = "off";
  } [ "every client of shop.example.com would be an operator" ];
  "a proxy beside an open gateway is refused" = isRefused {
    listenAddress = "0.0.0.0";
    settings.ALLOW_PLAINTEXT = "http";
  } [ "listenAddress" ];
  "an open firewall for a gateway behind a proxy is refused" = isRefused { openFirewall = true; } [
    "openFirewall"
  ];
  "HTTPS of the gateway's own behind a proxy is refused" = isRefused {
    credentials.HTTPS_CERTIFICATE = "/run/secrets/https.pem";
    credentials.HTTPS_KEY = "/run/secrets/https-key.pem";
  } [ "give one of them" ];
  "another proxy is refused" =
    !(builtins.tryEval (
      builtins.deepSeq
        (host (behind {
          proxy = "apache";
        })).services.nginx
        true
    )).success;
}
