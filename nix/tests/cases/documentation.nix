# Every configuration in docs/DEPLOY.md and docs/OPERATIONS.md evaluates and fails no assertion.
let
  hosts = import ../hosts.nix;
  inherit (hosts) lib;
  flake = import ../flake.nix;
  document =
    builtins.readFile ../../../docs/DEPLOY.md + builtins.readFile ../../../docs/OPERATIONS.md;

  # From the line after ```nix to the next ```.
  until = mark: text: builtins.head (builtins.split mark text);
  blocks = map (until "```") (
    builtins.tail (builtins.filter builtins.isString (builtins.split "```nix\n" document))
  );
  # Inputs for a flake of the document; its hosts are lists of modules then.
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

  # | `SAGA_TIMEOUT` | order | `15m` | … — a table that tests/tests/saga compares with the services' --help.
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
  # Those that have an option of their own, and those that must not be settings.
  special = [
    "PORT"
    "LISTEN_ADDRESS"
    "MANAGEMENT_ADDRESS"
    "RABBITMQ_URL"
    "DATABASE_URL"
    "MIGRATION_DATABASE_URL"
    "API_KEYS_FILE"
  ];
  failsWith =
    word: service: settings:
    builtins.any (lib.hasInfix word) (
      hosts.failures {
        imports = [ hosts.everything ];
        services.paysaga.${service} = settings;
      }
    );
  isSetting =
    variable: service: !(failsWith "no such variable" service { settings.${variable} = "1"; });
  isCredential =
    variable: service:
    !(failsWith "no such variable" service {
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
  "the documents have configurations" = builtins.length blocks >= 6;
  "every documented configuration passes the assertions" = builtins.all (
    configuration: hosts.failuresOf configuration == [ ]
  ) modules;
  "every documented configuration evaluates" = builtins.all (
    configuration: builtins.deepSeq (hosts.nixos configuration).systemd true
  ) modules;
}
