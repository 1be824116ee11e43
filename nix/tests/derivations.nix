# What each output would be built from, as paths that change when it would be built anew: with host-packages/, whose derivations
# are real ones.
let
  packages = import ./host-packages/flake.nix;
  nixpkgs = packages.outputs { };
  outputs = (import ../../flake.nix).outputs {
    self = outputs;
    inherit nixpkgs;
  };
  dependencies = import ../dependencies.nix {
    inherit (nixpkgs) lib;
    pkgs = nixpkgs.legacyPackages.x86_64-linux;
  };
  pathOf = derivation: builtins.unsafeDiscardStringContext derivation.drvPath;
in
builtins.mapAttrs (_: pathOf) (
  removeAttrs outputs.packages.x86_64-linux [ "jaeger" ]
  // {
    inherit (outputs.checks.x86_64-linux) clippy tests;
    dependencies = dependencies.static;
    dependencies-native = dependencies.native;
  }
)
