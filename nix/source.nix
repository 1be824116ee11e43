# The source of each build. Anything else can change without it.
{ lib }:
let
  inherit (lib) fileset;
  crates = import ./crates.nix { inherit lib; };
  source =
    parts:
    fileset.toSource {
      root = ../.;
      fileset = fileset.unions parts;
    };

  # What decides which dependencies there are, and which features of them are on.
  manifests = [
    ../Cargo.toml
    ../Cargo.lock
  ]
  ++ map (name: crates.directories.${name} + "/Cargo.toml") crates.names;

  # Of a crate, what its users compile: not its tests.
  shipped =
    name:
    let
      directory = crates.directories.${name};
    in
    [
      (directory + "/src")
      # Its documents show the golden files as examples.
      (fileset.maybeMissing (directory + "/tests/golden"))
      (fileset.maybeMissing (directory + "/build.rs"))
      # A service embeds its migrations.
      (fileset.maybeMissing (../migrations + "/${name}"))
    ];
in
{
  manifests = source manifests;

  # A program, and the crates that it is made of.
  program = name: source (manifests ++ lib.concatMap shipped (crates.partsOf name));

  # What lints and tests read: the documents are tested too.
  all = source ([
    ../Cargo.toml
    ../Cargo.lock
    ../clippy.toml
    ../rustfmt.toml
    ../README.md
    ../LICENSE
    ../contracts
    ../migrations
    ../services
    ../tests
    ../docs
    ../packaging
    ../nix/tests/booted.sh
    ../nix/tests/booted-operator.sh
    ../nix/tests/booted-backup.sh
    ../nixos-module/service.nix
    ../dev
    ../.ci
    ../supply-chain
    ../fuzz
    ../nix/checks/rust.nix
  ]);

  nix = source [
    ../flake.nix
    ../nix
    ../nixos-module
    ../migrations/roles.sql
    ../migrations/operator.sql
    ../packaging/rabbitmq-definitions.json
    ../packaging/prometheus
    ../packaging/grafana
  ];
}
