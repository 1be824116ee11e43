# Owns the payments, in a database of its own.
{
  imports = [
    (import ./service.nix {
      name = "payment";
      about = "owns the payments: charges them at the provider, and refunds what a cancelled order has paid";
      port = 3002;
      variables = [
        "DEFAULT_OWNER"
        "AUTHENTICATION"
        "GATEWAY_NAME"
        "PREFETCH"
        "DATABASE_CONNECTIONS"
        "DATABASE_QUERY_CONNECTIONS"
        "RETENTION_FAILED_MESSAGES"
        "RETENTION_SIMULATED_CHARGES"
        "PROVIDER_CONCURRENCY"
        "PROVIDER_TIMEOUT"
        "PROVIDER_LATENCY_MS"
        "PROVIDER_APPROVAL_RATE"
        "PROVIDER_SEED"
      ];
      secrets = [
        "DATABASE_URL"
        "MIGRATION_DATABASE_URL"
      ];
      withheld = [ "MIGRATION_DATABASE_URL" ];
    })
    (import ./database.nix "payment")
  ];
}
