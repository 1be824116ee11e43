# Everything on one host, or any part of it: `services.paysaga.{gateway,order,payment}.enable`.
{
  imports = [
    ./gateway.nix
    ./order.nix
    ./payment.nix
  ];
}
