# For nixpkgs as a user has it: its compilers and its version of the servers, instead of those that this flake pins.
#   nixpkgs.overlays = [ paysaga.overlays.default ];   then: pkgs.paysagaPackages.order
{ self }:
final: _prev: {
  paysagaPackages = import ./packages.nix {
    inherit self;
    inherit (final) lib;
    pkgs = final;
  };
}
