# What order and payment read: the participants of the saga, each with a database.
{ types }:
{
  credentials = {
    SERVICE_TOKEN = "What the gateway must present to be answered: 32 characters at least, the same as the gateway's. Required, unless the gateway shows a certificate (`TLS_CERTIFICATE_FILE`), or `AUTHENTICATION` is `off`.";
    DATABASE_URL = "URL of the service's own PostgreSQL database (`postgres://user:password@host:5432/database`, or `postgres://user@localhost/database?host=/run/postgresql` over the socket). Beyond loopback with `?sslmode=verify-full`, and `&sslrootcert=FILE` for an authority of your own.";
    MIGRATION_DATABASE_URL = "URL of the same database as the role that owns the schema and migrates it. The role of `DATABASE_URL` then gets what the service needs, and can't change the schema. Without it, the role of `DATABASE_URL` owns the schema, or finds it up to date.";
  };

  settings = {
    DEFAULT_OWNER = {
      type = types.str;
      default = "anonymous";
      description = "Whose the orders are that name no owner, as those of a NestJS gateway: the name of a client's API key.";
    };
    GATEWAY_NAME = {
      type = types.str;
      default = "gateway";
      description = "The name in the gateway's certificate.";
    };
    AUTHENTICATION = {
      type = types.switch;
      default = "on";
      description = "`off`: answer every client that reaches the service, as beside a NestJS gateway, which has neither token nor certificate.";
    };
    DATABASE_CONNECTIONS = {
      type = types.ints.between 2 1000;
      default = "10";
      description = "Most connections to it for the saga: for messages, due steps and provider answers.";
    };
    DATABASE_QUERY_CONNECTIONS = {
      type = types.ints.between 1 1000;
      default = "5";
      description = "Most connections to it for queries over HTTP, so that they never take one from the saga.";
    };
    TRACE_STATEMENTS = {
      type = types.switch;
      default = "off";
      description = "`on`: traces have a span for each SQL statement, without its parameters.";
    };
    PREFETCH = {
      type = types.ints.between 1 65535;
      default = "400";
      description = "Most messages that the consumer of a queue holds unacknowledged.";
    };
    RETENTION_FAILED_MESSAGES = {
      type = types.retention;
      description = "How long failed messages that were replayed or discarded are kept (such as `90d`); what operators did about them stays. Without end unless set.";
    };
  };
}
