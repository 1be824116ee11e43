# Settings: which values a variable may have, and how they reach the service.
let
  hosts = import ../hosts.nix;

  configured = service: settings: {
    imports = [ hosts.everything ];
    services.paysaga.${service} = { inherit settings; };
  };
  environmentOf =
    service: configuration:
    (hosts.host configuration).systemd.services."paysaga-${service}".environment;
  rendered =
    service: variable: value:
    let
      configuration = configured service { ${variable} = value; };
    in
    if hosts.failures configuration == [ ] then
      (environmentOf service configuration).${variable} or null
    else
      throw "${variable} is refused";
  isRefused =
    service: variable: value:
    hosts.isRefusedOutright (configured service { ${variable} = value; });
in
{
  "a number is written as one" =
    rendered "gateway" "REQUEST_TIMEOUT" 3000 == "3000"
    && rendered "payment" "PROVIDER_APPROVAL_RATE" 0.9 == "0.9"
    && rendered "order" "PREFETCH" 65535 == "65535"
    && rendered "payment" "PROVIDER_SEED" 0 == "0";
  "a number beyond its bounds is refused" =
    isRefused "gateway" "RATE_LIMIT" 0
    && isRefused "gateway" "RATE_LIMIT" "500"
    && isRefused "order" "DATABASE_CONNECTIONS" 1
    && isRefused "order" "PREFETCH" 65536
    && isRefused "payment" "PROVIDER_APPROVAL_RATE" 1.5;
  "a time is text with a unit, or milliseconds" =
    rendered "order" "SAGA_TIMEOUT" "1h 30m" == "1h 30m"
    && rendered "order" "SAGA_TIMEOUT" 900000 == "900000"
    && rendered "gateway" "REQUEST_TIMEOUT" "3s" == "3s"
    && rendered "order" "RETENTION_TIMELINE" "90d" == "90d";
  "a time without a unit that there is, is refused" =
    isRefused "order" "SAGA_TIMEOUT" "soon"
    && isRefused "order" "SAGA_TIMEOUT" "15x"
    && isRefused "order" "SAGA_TIMEOUT" (-1)
    && isRefused "order" "RETENTION_TIMELINE" "90";
  "one of several words is one of them" =
    rendered "order" "LOG_FORMAT" "json" == "json"
    && rendered "order" "BROKER_TOPOLOGY" "own" == "own"
    && rendered "order" "AUTHENTICATION" "off" == "off"
    && isRefused "order" "LOG_FORMAT" "xml"
    && isRefused "order" "BROKER_TOPOLOGY" "none"
    && isRefused "order" "AUTHENTICATION" false;
  "a range of milliseconds is text, one number may be a number" =
    rendered "payment" "PROVIDER_LATENCY_MS" "50-500" == "50-500"
    && rendered "payment" "PROVIDER_LATENCY_MS" 10 == "10"
    && isRefused "payment" "PROVIDER_LATENCY_MS" "fast";
  "a list is a list or text with commas" =
    rendered "gateway" "TRUSTED_PROXIES" [
      "127.0.0.1"
      "fd00::/8"
    ] == "127.0.0.1,fd00::/8"
    && rendered "gateway" "TRUSTED_PROXIES" "127.0.0.1, ::1" == "127.0.0.1,::1"
    && rendered "gateway" "CORS_ORIGINS" "*" == "*"
    &&
      rendered "order" "ALLOW_PLAINTEXT" [
        "amqp"
        "http"
      ] == "amqp,http";
  "an element that is none is refused" =
    isRefused "gateway" "TRUSTED_PROXIES" "proxy.internal"
    && isRefused "gateway" "CORS_ORIGINS" [ "https://shop.example/" ]
    && isRefused "order" "ALLOW_PLAINTEXT" "amqp,smtp";
  "lists of several modules become one" =
    let
      configuration = {
        imports = [ (configured "gateway" { ALLOW_PLAINTEXT = "amqp"; }) ];
        services.paysaga.gateway.settings.ALLOW_PLAINTEXT = [ "http" ];
      };
    in
    builtins.length (builtins.split "," (environmentOf "gateway" configuration).ALLOW_PLAINTEXT) == 3;
  "a URL has a scheme" =
    rendered "gateway" "ORDER_SERVICE_URL" "https://10.0.0.2:3001" == "https://10.0.0.2:3001"
    && isRefused "gateway" "ORDER_SERVICE_URL" "10.0.0.2:3001";
  "OpenTelemetry's variables may be text, numbers and switches" =
    rendered "order" "OTEL_SDK_DISABLED" true == "true"
    && rendered "order" "OTEL_BSP_MAX_QUEUE_SIZE" 4096 == "4096"
    && rendered "order" "OTEL_SERVICE_NAME" "orders" == "orders"
    && isRefused "order" "OTEL_SERVICE_NAME" [ "orders" ];
  "what is null is left to the program" =
    rendered "order" "SAGA_TIMEOUT" null == null
    && rendered "order" "OTEL_SERVICE_NAME" null == null
    && !(environmentOf "order" hosts.everything ? SAGA_TIMEOUT);
  "a credential that is null is none" =
    let
      inherit
        (hosts.host {
          imports = [ hosts.everything ];
          services.paysaga.gateway.credentials.API_KEYS = null;
        })
        systemd
        ;
    in
    systemd.services ? paysaga-gateway-key;
}
