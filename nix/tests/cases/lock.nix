# flake.lock has the shape that Nix accepts, and pins what it should. A hash can't be checked without the network; it is
# here so that nobody changes it by accident.
let
  lock = builtins.fromJSON (builtins.readFile ../../../flake.lock);
  flake = import ../../../flake.nix;
  inherit (builtins) attrNames isInt match;
  node = lock.nodes.nixpkgs;
in
{
  "the lock file is of version 7" = lock.version == 7 && lock.root == "root";
  "it locks the inputs of the flake and nothing else" =
    attrNames lock.nodes == (attrNames flake.inputs ++ [ "root" ])
    && lock.nodes.root == { inputs.nixpkgs = "nixpkgs"; };
  "the lock was made from the URL in flake.nix" =
    let
      inherit (node.original)
        type
        owner
        repo
        ref
        ;
    in
    "${type}:${owner}/${repo}/${ref}" == flake.inputs.nixpkgs.url;
  "what is locked has every field, and no other" =
    attrNames node == [
      "locked"
      "original"
    ]
    &&
      attrNames node.locked == [
        "lastModified"
        "narHash"
        "owner"
        "repo"
        "rev"
        "type"
      ];
  "the fields look like what they are" =
    isInt node.locked.lastModified
    && match "sha256-[A-Za-z0-9+/]{43}=" node.locked.narHash != null
    && match "[0-9a-f]{40}" node.locked.rev != null;
  "it is the pin" =
    node.locked == {
      type = "github";
      owner = "NixOS";
      repo = "nixpkgs";
      rev = "f5c082a40f7571c266e74e80ae2e68aadd8a9fc7";
      lastModified = 1790340521;
      narHash = "sha256-cRrWlIjVRJ6BHDr9caUdXsZ3owzWIKYHpNmGPHBInIU=";
    };
}
