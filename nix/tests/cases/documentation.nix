# Every configuration in docs/DEPLOY.md is one that works.
let
  hosts = import ../hosts.nix;
  inherit (hosts) lib;
  flake = import ../flake.nix;
  document = builtins.readFile ../../../docs/DEPLOY.md;

  # From the line after ```nix to the next ```.
  until = mark: text: builtins.head (builtins.split mark text);
  blocks = map (until "```") (
    builtins.tail (builtins.filter builtins.isString (builtins.split "```nix\n" document))
  );
  # A reader's flake: the hosts are what it makes of its inputs.
  inputs = {
    paysaga = flake;
    nixpkgs.lib.nixosSystem = { modules }: { inherit modules; };
  };
  evaluate = text: import (builtins.toFile "documented.nix" text);
  flakes = map (text: (evaluate text).outputs inputs) (
    builtins.filter (lib.hasInfix "outputs =") blocks
  );
  modules =
    lib.concatMap (
      outputs:
      map (name: outputs.nixosConfigurations.${name}.modules) (
        builtins.attrNames outputs.nixosConfigurations
      )
    ) flakes
    ++ map (text: [
      flake.nixosModules.default
      hosts.everything
      (evaluate text)
    ]) (builtins.filter (text: !(lib.hasInfix "outputs =" text)) blocks);
in
{
  "there are configurations" = builtins.length blocks >= 3;
  "they break no rule" = builtins.all (configuration: hosts.broken configuration == [ ]) modules;
  "they evaluate" = builtins.all (
    configuration: builtins.deepSeq (hosts.nixos configuration).systemd true
  ) modules;
}
