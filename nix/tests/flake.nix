# The outputs of flake.nix, with a stand-in for nixpkgs as its input.
let
  lib = import ./stand-in/lib.nix;
  nixpkgs = {
    inherit lib;
    legacyPackages = lib.genAttrs [
      "x86_64-linux"
      "aarch64-linux"
    ] (system: import ./stand-in/pkgs.nix { inherit lib system; });
  };
  flake = import ../../flake.nix;
  outputs = flake.outputs {
    self = outputs;
    nixpkgs = nixpkgs // {
      lib = lib // {
        nixosSystem = import ./stand-in/nixos-system.nix { inherit lib; };
      };
    };
  };
in
outputs // { inherit (flake) inputs description; }
