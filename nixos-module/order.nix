# Owns the orders, in a database of its own.
{
  imports = [
    (import ./service.nix {
      name = "order";
      about = "owns the orders: places them, cancels them, and moves them by what becomes of their payments";
      port = 3001;
      variables = [
        "SAGA_TIMEOUT"
        "DEFAULT_OWNER"
        "AUTHENTICATION"
        "GATEWAY_NAME"
        "PREFETCH"
        "DATABASE_CONNECTIONS"
        "DATABASE_QUERY_CONNECTIONS"
        "RETENTION_FAILED_MESSAGES"
        "RETENTION_TIMELINE"
      ];
      secrets = [
        "DATABASE_URL"
        "MIGRATION_DATABASE_URL"
      ];
      withheld = [ "MIGRATION_DATABASE_URL" ];
    })
    (import ./database.nix "order")
  ];
}
