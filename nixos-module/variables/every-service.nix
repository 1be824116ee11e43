# What every service reads.
{ types }:
{
  credentials = {
    TLS_CERTIFICATE = "The service's certificate, and any between it and an authority's (PEM). With this and the next two, the services speak TLS with each other and know each other by their certificates, and RabbitMQ may know them likewise. All three are read again when they change.";
    TLS_KEY = "The certificate's private key (PEM).";
    TLS_CA = "The authorities that vouch for the other services and for RabbitMQ (PEM).";
    RABBITMQ_URL = "URL of RabbitMQ with user, password and virtual host (`amqp://user:password@host:5672/vhost`, `amqps://` for TLS; `amqps://user@host/vhost?auth_mechanism=external` to be known by the certificate of `TLS_CERTIFICATE_FILE`). For a cluster the URL of each node, separated by commas; they are tried in turn.";
  };

  settings = {
    MAX_CONNECTIONS = {
      type = types.ints.between 1 1000000;
      default = "8192";
      description = "Most connections open at once; further ones wait to be accepted.";
    };
    ALLOW_PLAINTEXT = {
      type = types.separated (
        types.enum [
          "amqp"
          "http"
          "postgres"
        ]
      );
      description = "What may go beyond loopback in plain text: `amqp`, `http`, `postgres`, separated by commas. Nothing unless set.";
    };
    BROKER_TOPOLOGY = {
      type = types.enum [
        "declare"
        "own"
        "verify"
      ];
      default = "declare";
      description = "`declare`: make the exchanges, queues and bindings that are missing, those included that other services consume. `own`: make only what this service consumes, for one beside the NestJS services. `verify`: only check that they are there, for a user without configure permission.";
    };
    VERIFY_PUBLISHERS = {
      type = types.switch;
      default = "on";
      description = "`on`: believe a message only if its `user_id`, which RabbitMQ checks, is the user of the service whose event it is. These are named as this service's own user, with the other's name in place of its own: `paysaga-order`, `paysaga-payment`. With one user for all of them there is nothing to verify. `off`: beside NestJS services, which don't say who they are.";
    };
    PUBLISH_TIMEOUT = {
      type = types.duration;
      default = "5s";
      description = "How long a message may take to be confirmed by the broker.";
    };
    DRAIN_GRACE = {
      type = types.duration;
      default = "500ms";
      description = "How long a service that is told to stop still answers while `/health/ready` already says no, so that load balancers notice.";
    };
    SHUTDOWN_TIMEOUT = {
      type = types.duration;
      default = "10s";
      description = "How long a service that is told to stop may take to finish its work; then it exits in spite of it.";
    };
    LOG_FORMAT = {
      type = types.enum [
        "auto"
        "human"
        "json"
      ];
      default = "auto";
      description = "`json` (one object a line), `human`, or `auto`: human on a terminal, json elsewhere.";
    };
    RUST_LOG = {
      type = types.str;
      default = "info,sqlx=warn,lapin=off";
      description = "What is logged, as `level` or `target=level,…` (tracing's `EnvFilter`).";
    };
    NESTJS_METRICS = {
      type = types.switch;
      default = "off";
      description = "`on`: `/metrics` has the counters of the NestJS services as well, under their names.";
    };
  };
}
