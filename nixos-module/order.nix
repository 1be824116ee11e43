# Owns the orders, in a database of its own.
{
  imports = [
    (import ./service.nix {
      name = "order";
      about = "owns the orders: places them, cancels them, and moves them by what becomes of their payments";
      port = 3001;
      variables = [
        ./variables/participants.nix
        ./variables/order.nix
      ];
      withheld = [ "MIGRATION_DATABASE_URL" ];
    })
    (import ./database.nix "order")
  ];
}
