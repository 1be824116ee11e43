# The documents agree with the modules: every configuration in docs/DEPLOY.md and docs/OPERATIONS.md evaluates and fails no
# assertion, and every variable and every option is described as it is.
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
      ../stand-in/agenix.nix
      ../stand-in/sops-nix.nix
      hosts.everything
      (evaluate text)
    ]) (builtins.filter (text: !(lib.hasInfix "outputs =" text)) blocks);

  services = [
    "gateway"
    "order"
    "payment"
  ];
  # | `SAGA_TIMEOUT` | order | `15m` | How long … |: a table that tests/tests/saga compares with the services' --help.
  variables = lib.concatMap (
    line:
    let
      cells = builtins.match "\\| `([A-Z_]+)` \\| ([a-z, ]+) \\| (`([^`]*)`)? ?\\| (.*) \\|" line;
      cell = builtins.elemAt cells;
    in
    lib.optional (cells != null) {
      name = cell 0;
      readers = if cell 1 == "all" then services else builtins.filter (reads (cell 1)) services;
      default = cell 3;
      description = cell 4;
    }
  ) (builtins.filter builtins.isString (builtins.split "\n" (builtins.readFile ../../../README.md)));
  reads = readers: service: lib.hasInfix service readers;
  # Those that have an option of their own.
  addresses = [
    "PORT"
    "LISTEN_ADDRESS"
    "MANAGEMENT_ADDRESS"
  ];
  # What the README says of a service's variables, and what its options say.
  documented =
    service:
    builtins.listToAttrs (
      map
        (variable: {
          name = lib.removeSuffix "_FILE" variable.name;
          value = { inherit (variable) default description; };
        })
        (
          builtins.filter (
            variable: builtins.elem service variable.readers && !(builtins.elem variable.name addresses)
          ) variables
        )
    );
  optionsOf =
    kind: service:
    let
      option = hosts.paysaga.${service}.${kind};
    in
    option.type.getSubOptions option.loc;
  defaultOf =
    option:
    if option ? defaultText then
      builtins.head (builtins.match "the program's own, `(.*)`" option.defaultText.text)
    else
      null;
  declared =
    service:
    builtins.mapAttrs (_: option: {
      default = defaultOf option;
      inherit (option) description;
    }) (optionsOf "settings" service // optionsOf "credentials" service);
  # As it is written in Nix.
  value =
    text: if builtins.match "[0-9]+(\\.[0-9]+)?" text == null then text else builtins.fromJSON text;
in
{
  "the README's table of variables was read" = builtins.length variables > 20;
  "every variable in the README is an option of the services that read it, with the same default and the same words" =
    builtins.all (service: declared service == documented service) services;
  "the program's own default is of the option's type" = builtins.all (
    service:
    builtins.all (option: defaultOf option == null || option.type.check (value (defaultOf option))) (
      builtins.attrValues (optionsOf "settings" service)
    )
  ) services;
  "secrets are credentials and not settings" =
    builtins.all (service: optionsOf "credentials" service ? RABBITMQ_URL) services
    && optionsOf "credentials" "gateway" ? API_KEYS
    && optionsOf "credentials" "order" ? DATABASE_URL
    && optionsOf "credentials" "payment" ? DATABASE_URL
    && builtins.all (
      service:
      builtins.intersectAttrs (optionsOf "settings" service) (optionsOf "credentials" service) == { }
    ) services;
  "docs/OPTIONS.md is what `./dev options` writes" =
    builtins.readFile ../../../docs/OPTIONS.md == import ../options.nix;
  "the documents have configurations" = builtins.length blocks >= 6;
  "every documented configuration passes the assertions" = builtins.all (
    configuration: hosts.failuresOf configuration == [ ]
  ) modules;
  "what agenix and sops-nix decrypt is what the services get" =
    let
      units = map (configuration: (hosts.nixos configuration).systemd.services) modules;
      loaded = lib.concatMap (
        units: lib.concatMap (unit: unit.serviceConfig.LoadCredential or [ ]) (builtins.attrValues units)
      ) units;
    in
    builtins.all (credential: builtins.elem credential loaded) [
      "API_KEYS:/run/agenix/paysaga-keys"
      "API_KEYS:/run/secrets/paysaga-keys"
      "DATABASE_URL:/run/secrets/paysaga-order-database"
      "DATABASE_URL:/run/secrets/paysaga-payment-database"
    ];
  "a unit that a secret restarts exists" = builtins.all (
    configuration:
    let
      config = hosts.nixos configuration;
    in
    builtins.all (
      secret:
      builtins.all (
        unit: config.systemd.services ? ${lib.removeSuffix ".service" unit}
      ) secret.restartUnits
    ) (builtins.attrValues (config.sops.secrets or { }))
  ) modules;
  "every documented configuration evaluates" = builtins.all (
    configuration: builtins.deepSeq (hosts.nixos configuration).systemd true
  ) modules;
}
