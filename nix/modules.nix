# nixosModules: all services, and each alone for a setup over several hosts. The packages default to this flake's own.
{ self, lib }:
let
  module =
    file: names:
    { pkgs, ... }:
    let
      system = pkgs.stdenv.hostPlatform.system;
      packages = self.packages.${system};
    in
    {
      imports = [ file ];
      services.paysaga =
        lib.genAttrs names (name: {
          package = lib.mkDefault packages.${name};
        })
        // {
          operator.package = lib.mkDefault packages.paysaga;
          tracing.jaeger.package = lib.mkDefault (
            packages.jaeger
              or (throw "paysaga has no Jaeger for ${system}; set services.paysaga.tracing.jaeger.package, or leave services.paysaga.tracing.jaeger off")
          );
        };
    };
in
{
  default = module ../nixos-module [
    "gateway"
    "order"
    "payment"
  ];
  gateway = module ../nixos-module/gateway.nix [ "gateway" ];
  order = module ../nixos-module/order.nix [ "order" ];
  payment = module ../nixos-module/payment.nix [ "payment" ];
}
