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

  # | `SAGA_TIMEOUT` | order | `15m` | … — a table that the services' own --help is compared with.
  readme = builtins.readFile ../../../README.md;
  variables = map (groups: {
    name = builtins.head groups;
    readers =
      let
        readers = builtins.elemAt groups 1;
      in
      builtins.filter (service: readers == "all" || lib.hasInfix service readers) [
        "gateway"
        "order"
        "payment"
      ];
  }) (builtins.filter builtins.isList (builtins.split "\n\\| `([A-Z_]+)` \\| ([a-z, ]+) \\|" readme));
  # Those that are options of their own, and those that must not be settings.
  special = [
    "PORT"
    "LISTEN_ADDRESS"
    "RABBITMQ_URL"
    "DATABASE_URL"
    "API_KEYS_FILE"
  ];
  tells =
    word: service: settings:
    builtins.any (lib.hasInfix word) (
      hosts.complaints {
        imports = [ hosts.everything ];
        services.paysaga.${service} = settings;
      }
    );
  isSetting = variable: service: !(tells "no such variable" service { settings.${variable} = "1"; });
  isCredential =
    variable: service:
    !(tells "no such variable" service {
      credentials.${lib.removeSuffix "_FILE" variable} = "/run/secret";
    });
in
{
  "the README's table of variables was read" = builtins.length variables > 20;
  "every documented variable is a setting of the services that read it, and of no other" =
    builtins.all
      (
        { name, ... }:
        builtins.elem name special
        ||
          builtins.all
            (
              service:
              isSetting name service
              == builtins.any (
                variable: variable.name == name && builtins.elem service variable.readers
              ) variables
            )
            [
              "gateway"
              "order"
              "payment"
            ]
      )
      variables;
  "secrets are credentials" =
    isCredential "RABBITMQ_URL" "gateway"
    && isCredential "DATABASE_URL" "order"
    && isCredential "DATABASE_URL" "payment"
    && isCredential "API_KEYS_FILE" "gateway";
  "there are configurations" = builtins.length blocks >= 3;
  "they break no rule" = builtins.all (configuration: hosts.broken configuration == [ ]) modules;
  "they evaluate" = builtins.all (
    configuration: builtins.deepSeq (hosts.nixos configuration).systemd true
  ) modules;
}
