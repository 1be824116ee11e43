{
  description = "paysaga: an order-and-payment saga over RabbitMQ and PostgreSQL that loses nothing, charges once and always refunds";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      perSystem =
        file:
        lib.genAttrs systems (
          system:
          import file {
            inherit self nixpkgs lib;
            pkgs = nixpkgs.legacyPackages.${system};
          }
        );
    in
    {
      packages = perSystem ./nix/packages.nix;
      apps = perSystem ./nix/apps.nix;
      devShells = perSystem ./nix/shell.nix;
      checks = perSystem ./nix/checks;
      # Machines, which a builder without KVM can't start; not part of `nix flake check`.
      legacyPackages = perSystem ./nix/machine-tests.nix;
      formatter = lib.genAttrs systems (system: nixpkgs.legacyPackages.${system}.nixfmt-tree);

      overlays.default = import ./nix/overlay.nix { inherit self; };
      nixosModules = import ./nix/modules.nix { inherit self lib; };
      nixosConfigurations.example = import ./nix/example.nix { inherit self nixpkgs; };
    };
}
