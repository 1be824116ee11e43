# Every attribute of every output evaluates, for every system, and has a description.
let
  flake = import ../flake.nix;
  lib = import ../stand-in/lib.nix;
  inherit (builtins)
    all
    attrNames
    attrValues
    elem
    ;

  systems = [
    "aarch64-linux"
    "x86_64-linux"
  ];
  everySystem =
    holds: outputs: attrNames outputs == systems && all (system: holds outputs.${system}) systems;
  programs = [
    "gateway"
    "order"
    "payment"
    "paysaga"
  ];
  images = map (name: "${name}-image") programs;
  has = names: set: all (name: set ? ${name}) names;
  isDescribed = output: output.meta.description or "" != "";
  # In the stand-in, a derivation is its arguments.
  evaluates = value: builtins.deepSeq value true;
  isDerivation = output: output.type == "derivation" && evaluates output;
  x86 = flake.packages.x86_64-linux;

  # Subcommands that `paysaga` has: variants of `enum Command`, in which each variant holds its own type.
  cli = builtins.readFile ../../../services/paysaga/src/command/mod.rs;
  isSubcommand = name: lib.hasInfix "(${name}::" cli;
  commands = removeAttrs flake.apps.x86_64-linux (programs ++ [ "default" ]);
in
{
  "there are packages and images for every program and system" = everySystem (
    packages: has (programs ++ images ++ [ "default" ]) packages
  ) flake.packages;
  "every package evaluates and has a description" = everySystem (
    packages: all (package: isDerivation package && isDescribed package) (attrValues packages)
  ) flake.packages;
  "jaeger is a package for x86_64-linux alone" =
    x86 ? jaeger && !(flake.packages.aarch64-linux ? jaeger);
  "every package of ours says what a package in nixpkgs says" = everySystem (
    packages:
    all (
      name:
      has [
        "license"
        "homepage"
        "changelog"
        "maintainers"
        "platforms"
        "mainProgram"
      ] packages.${name}.meta
    ) (programs ++ [ "default" ])
  ) flake.packages;
  "every app evaluates and has a description" = everySystem (
    apps:
    apps ? default
    && all (app: app.type == "app" && evaluates app.program && isDescribed app) (attrValues apps)
  ) flake.apps;
  "nix run is `paysaga up`" = flake.apps.x86_64-linux.default == flake.apps.x86_64-linux.up;
  "every app that runs a subcommand names one that paysaga has" = all isSubcommand (
    attrNames commands
  );
  "what the tests read is part of the source that the checks get" =
    let
      folder = ../../../tests/tests/saga;
      files = builtins.filter (lib.hasSuffix ".rs") (attrNames (builtins.readDir folder));
      readsOf =
        file:
        map builtins.head (
          builtins.filter builtins.isList (
            builtins.split "\"\\.\\./\\.\\./\\.\\./([a-zA-Z.]+)" (builtins.readFile (folder + "/${file}"))
          )
        );
      reads = lib.unique (lib.concatMap readsOf files);
      # The stand-in writes a source as the list of its parts.
      source = builtins.readFile (import ../../source.nix { inherit lib; }).all;
    in
    elem "README.md" reads && all (name: lib.hasInfix (toString (../../.. + "/${name}")) source) reads;
  "every check evaluates" = everySystem (
    checks:
    has [
      "clippy"
      "fmt"
      "module"
      "nix-fmt"
      "static-order"
      "image-order"
      "tests"
    ] checks
    && all isDerivation (attrValues checks)
  ) flake.checks;
  "machines are tested where Jaeger is packaged, and are not a check" =
    has [ "machine-test" "container-test" ] flake.legacyPackages.x86_64-linux
    && flake.legacyPackages.aarch64-linux == { }
    && !(flake.checks.x86_64-linux ? machine-test);
  "the machines of the machine tests pass the assertions" =
    let
      nixos = import ../stand-in/nixos.nix { inherit lib; };
      tests = flake.legacyPackages.x86_64-linux;
      passes =
        module:
        let
          machine = (nixos [ module ]).config;
        in
        all (assertion: assertion.assertion) machine.assertions && evaluates machine.systemd;
    in
    passes tests.machine-test.nodes.server && passes tests.container-test.containers.server;
  "the overlay has the packages, of the nixpkgs that it is given" =
    let
      pkgs = import ../stand-in/pkgs.nix {
        inherit lib;
        system = "aarch64-linux";
      };
    in
    has programs (flake.overlays.default (pkgs // { inherit lib; }) { }).paysagaPackages;
  "the example passes the assertions" = all (
    assertion: assertion.assertion
  ) flake.nixosConfigurations.example.config.assertions;
  "the dev shell and the formatter evaluate" =
    everySystem (shells: isDerivation shells.default && isDescribed shells.default) flake.devShells
    && everySystem isDerivation flake.formatter;
  "there is a module for all and for each service" =
    attrNames flake.nixosModules == [
      "default"
      "gateway"
      "order"
      "payment"
    ];
  "there are no other outputs" =
    attrNames (
      removeAttrs flake [
        "inputs"
        "description"
      ]
    ) == [
      "apps"
      "checks"
      "devShells"
      "formatter"
      "legacyPackages"
      "nixosConfigurations"
      "nixosModules"
      "overlays"
      "packages"
    ];
  "images run without root, stop on SIGTERM and have labels" = all (
    name:
    let
      inherit (x86.${name}) config;
    in
    config.User == "65532:65532"
    && config.StopSignal == "SIGTERM"
    && elem "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt" config.Env
    && config.Labels ? "org.opencontainers.image.version"
    && config.Labels."org.opencontainers.image.licenses" == "MIT"
    && config.Labels ? "org.opencontainers.image.source"
    # The stand-in's flake has no commit.
    && !(config.Labels ? "org.opencontainers.image.revision")
  ) images;
  "images expose the ports of their service" =
    attrNames x86.order-image.config.ExposedPorts == [
      "3001/tcp"
      "4001/tcp"
    ]
    && elem "MANAGEMENT_ADDRESS=0.0.0.0:4001" x86.order-image.config.Env
    && x86.paysaga-image.config.ExposedPorts == { };
  "a program has no dependencies" = all (name: x86.${name}.allowedReferences == [ ]) programs;
}
