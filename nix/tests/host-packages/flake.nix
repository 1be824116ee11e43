# A small nixpkgs over the programs of a Debian, for a machine that can't reach the real one: ./dev nix builds paysaga's flake
# with it (--override-input nixpkgs), in Nix's sandbox. What is built is what the flake says; compilers and servers are the host's.
{
  outputs = _: {
    lib = import ./lib.nix;
    legacyPackages.x86_64-linux = import ./. { system = "x86_64-linux"; };
    # Evaluated only.
    legacyPackages.aarch64-linux = import ./. { system = "aarch64-linux"; };
  };
}
