# The document of the options, as the stand-in for NixOS knows them.
import ../options.nix {
  inherit (import ./hosts.nix) paysaga;
  root = ../..;
}
