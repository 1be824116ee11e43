# flake.lock has the form that Nix accepts, and pins the right revision. Its hash can't be verified without the network; it
# is repeated here against accidental changes.
let
  lock = builtins.fromJSON (builtins.readFile ../../../flake.lock);
  flake = import ../../../flake.nix;
  inherit (builtins) attrNames isInt match;
  node = lock.nodes.nixpkgs;
in
{
  "the lock file is of version 7" = lock.version == 7 && lock.root == "root";
  "the lock has the inputs of the flake and no others" =
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
  "a locked input has every field and no other" =
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
  "the fields have the right form" =
    isInt node.locked.lastModified
    && match "sha256-[A-Za-z0-9+/]{43}=" node.locked.narHash != null
    && match "[0-9a-f]{40}" node.locked.rev != null;
  "nixpkgs is pinned to this revision" =
    node.locked == {
      type = "github";
      owner = "NixOS";
      repo = "nixpkgs";
      rev = "f5c082a40f7571c266e74e80ae2e68aadd8a9fc7";
      lastModified = 1790340521;
      narHash = "sha256-cRrWlIjVRJ6BHDr9caUdXsZ3owzWIKYHpNmGPHBInIU=";
    };
}
