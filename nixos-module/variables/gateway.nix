# What the gateway alone reads.
{ types }:
{
  credentials = {
    SERVICE_TOKEN = "What it presents to order and payment, as their `SERVICE_TOKEN`.";
    HTTPS_CERTIFICATE = "The certificate that clients see, and any between it and an authority's (PEM). With this and the next the gateway speaks HTTPS; without, a proxy in front of it does. Both are read again when they change.";
    HTTPS_KEY = "The private key of that certificate (PEM).";
    API_KEYS = "File of API keys, as `paysaga key` writes it; a change is in force within a second. Required, unless `AUTHENTICATION` is `off`.";
    CONSOLE_SESSION_SECRET = "What the console's sessions are sealed with: 32 characters at least, the same on every gateway that serves the same address. Without it each gateway makes its own when it starts, and its sessions end with it.";
  };

  settings = {
    ORDER_SERVICE_URL = {
      type = types.url;
      default = "http://127.0.0.1:3001";
      description = "Where the order service is.";
    };
    PAYMENT_SERVICE_URL = {
      type = types.url;
      default = "http://127.0.0.1:3002";
      description = "Where the payment service is.";
    };
    REQUEST_TIMEOUT = {
      type = types.duration;
      default = "5000";
      description = "How long a query may take, retries included, in milliseconds.";
    };
    BOOKS_FULL_PASS = {
      type = types.duration;
      default = "24h";
      description = "How often all orders and payments are compared, counted from the beginning of the last time: `1m` to `366d`. What changes is compared all the time.";
    };
    AUTHENTICATION = {
      type = types.switch;
      default = "on";
      description = "`off`: ask for no API keys. Every caller that reaches the gateway, such as through a proxy on its host, is then an operator.";
    };
    RATE_LIMIT = {
      type = types.ints.positive;
      default = "500";
      description = "Requests a second that a caller may send, and as many at once after a pause, unless its key has a `rate=`. Keys with `admin:write` have no limits.";
    };
    CONCURRENCY_LIMIT = {
      type = types.ints.between 1 1000000;
      default = "64";
      description = "Most requests of a caller that are under way at once.";
    };
    STREAM_LIMIT = {
      type = types.ints.between 1 1000000;
      default = "256";
      description = "Most streams of a caller that are open at once. They don't count as requests under way.";
    };
    MAX_CONNECTIONS_PER_ADDRESS = {
      type = types.ints.between 1 1000000;
      default = "1024";
      description = "Most connections from one address (with IPv6, from one network of 64 bits) open at once; further ones are closed.";
    };
    TRUSTED_PROXIES = {
      type = types.separated types.network;
      description = "Proxies that are believed about the address of a client (`X-Forwarded-For`), and whose connections are not counted: networks or addresses, separated by commas.";
    };
    CORS_ORIGINS = {
      type = types.separated types.origin;
      description = "Web origins whose pages may call the gateway, separated by commas; `*` for all. None by default.";
    };
    CONSOLE = {
      type = types.enum [
        "on"
        "read-only"
        "off"
      ];
      default = "on";
      description = "The operators' pages under `/console`: `on`, `read-only` (they show all and change nothing), or `off`.";
    };
    ENVIRONMENT_NAME = {
      type = types.str;
      description = "The name of the environment, such as `production`, which each of the console's pages shows.";
    };
    ENVIRONMENT_COLOUR = {
      type = types.enum [
        "grey"
        "green"
        "blue"
        "purple"
        "orange"
        "red"
      ];
      default = "grey";
      description = "The colour of the environment's name: `grey`, `green`, `blue`, `purple`, `orange` or `red`.";
    };
    JAEGER_URL = {
      type = types.url;
      description = "Where Jaeger's pages are, for links from an order to its trace.";
    };
  };
}
