# Owns the payments, in a database of its own.
{
  imports = [
    (import ./service.nix {
      name = "payment";
      about = "owns the payments: charges them at the provider, and refunds what a cancelled order has paid";
      port = 3002;
      variables = [
        ./variables/participants.nix
        ./variables/payment.nix
      ];
      withheld = [ "MIGRATION_DATABASE_URL" ];
    })
    (import ./database.nix "payment")
  ];
}
