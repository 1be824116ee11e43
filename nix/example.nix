# nixosConfigurations.example: everything on one host, as a container, which is what can be tried without a machine to spare.
#   nixos-container create shop --flake .#example && nixos-container start shop
{ self, nixpkgs }:
nixpkgs.lib.nixosSystem {
  modules = [
    self.nixosModules.default
    {
      nixpkgs.hostPlatform = "x86_64-linux";
      system.stateVersion = "26.05";
      boot.isContainer = true;
      services.paysaga = {
        gateway.enable = true;
        order.enable = true;
        payment.enable = true;
        metrics.enable = true;
        operator.enable = true;
        backup.enable = true;
        gateway.virtualHost = "shop.example.com";
      };
      security.acme = {
        acceptTerms = true;
        defaults.email = "operations@example.com";
      };
    }
  ];
}
