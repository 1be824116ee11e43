# The source of each build. Anything else (documents, checks of packaging, this folder) can change without a rebuild.
{ lib }:
let
  inherit (lib) fileset;
  root = ../.;
  programs = [
    ../Cargo.toml
    ../Cargo.lock
    ../contracts
    ../migrations
    ../services
    # A member of the workspace: cargo needs its manifest, although it is not built.
    ../tests
  ];
in
{
  programs = fileset.toSource {
    inherit root;
    fileset = fileset.unions programs;
  };

  # What lints and tests read beyond that: the documents are tested too.
  all = fileset.toSource {
    inherit root;
    fileset = fileset.unions (
      programs
      ++ [
        ../clippy.toml
        ../rustfmt.toml
        ../README.md
        ../docs
        ../packaging
        ../nix/tests/booted.sh
        ../nixos-module/service.nix
        ../dev
        ../.ci
        ../supply-chain
        ../fuzz
        ../nix/checks/rust.nix
      ]
    );
  };

  nix = fileset.toSource {
    inherit root;
    fileset = fileset.unions [
      ../flake.nix
      ../nix
      ../nixos-module
      ../migrations/roles.sql
      ../migrations/operator.sql
      ../packaging/rabbitmq-definitions.json
    ];
  };
}
