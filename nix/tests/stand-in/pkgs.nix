# As much of nixpkgs' packages as paysaga's Nix files name. Nothing can be built from it: a derivation is its arguments.
# If a package is missing here and nixpkgs 26.05 has it (look it up), add it.
{ lib, system }:
let
  derivation =
    arguments:
    let
      name = arguments.name or "${arguments.pname}-${arguments.version}";
    in
    arguments
    // {
      type = "derivation";
      inherit name;
      outPath = "${builtins.storeDir}/${
        builtins.substring 0 32 (builtins.hashString "sha256" name)
      }-${name}";
      meta = arguments.meta or { };
    };
  named = name: derivation { inherit name; };
  # Like a function without an ellipsis: an unknown argument is an error.
  strict =
    known: arguments:
    let
      unknown = builtins.attrNames (removeAttrs arguments known);
    in
    assert lib.assertMsg (unknown == [ ]) "no such argument: ${toString unknown}";
    derivation arguments;

  buildRustPackage = strict [
    "pname"
    "version"
    "src"
    "cargoLock"
    "cargoBuildFlags"
    "strictDeps"
    "auditable"
    "doCheck"
    "doInstallCheck"
    "stripAllList"
    "nativeBuildInputs"
    "buildPhase"
    "installPhase"
    "installCheckPhase"
    "preBuild"
    "passthru"
    "dontFixup"
    "allowedReferences"
    "meta"
  ];
  programs = lib.genAttrs [
    "bubblewrap"
    "cacert"
    "cargo"
    "cargo-deny"
    "clippy"
    "curl"
    "deadnix"
    "file"
    "gnused"
    "jq"
    "netcat"
    "nixfmt"
    "nixfmt-tree"
    "rabbitmq-server"
    "rust-analyzer"
    "rustc"
    "rustfmt"
    "shellcheck"
    "systemd"
  ] named;
in
programs
// {
  stdenv = {
    hostPlatform.system = system;
    cc = named "gcc";
  };
  stdenvNoCC.mkDerivation = arguments: lib.fix (final: derivation (arguments final));
  beam27Packages.erlang = named "erlang-27";
  rustPlatform = { inherit buildRustPackage; };
  pkgsStatic.rustPlatform = { inherit buildRustPackage; };

  # The boot test runs these, at the paths of Debian.
  bash = named "bash" // {
    outPath = "";
  };
  coreutils = named "coreutils" // {
    outPath = "/usr";
  };
  postgresql = named "postgresql" // {
    outPath = "/usr";
  };
  util-linux = named "util-linux" // {
    outPath = "/usr";
  };

  fetchurl =
    { url, hash }:
    derivation {
      name = baseNameOf url;
      inherit url hash;
    };
  runCommand =
    name: arguments: script:
    assert builtins.isString script;
    derivation (arguments // { inherit name script; });
  writeText = name: text: { outPath = builtins.toFile name text; };
  # The boot test makes them executable.
  writeShellScript = name: text: { outPath = builtins.toFile name "#!/bin/bash\n${text}"; };
  writeShellScriptBin =
    name: text:
    named name
    // {
      script = builtins.toFile name "#!/bin/bash\n${text}";
    };
  writeShellApplication =
    arguments:
    strict [
      "name"
      "runtimeInputs"
      "text"
      "meta"
    ] arguments
    // {
      meta.mainProgram = arguments.name;
    };
  symlinkJoin = strict [
    "name"
    "paths"
    "meta"
  ];
  closureInfo = { rootPaths }: derivation { name = "closure-info"; } // { inherit rootPaths; };
  mkShell =
    arguments:
    strict [
      "name"
      "packages"
      "meta"
    ] (arguments // { name = "shell"; });
  dockerTools = {
    caCertificates = named "ca-certificates";
    buildLayeredImage =
      arguments:
      strict [
        "name"
        "tag"
        "contents"
        "extraCommands"
        "config"
      ] arguments;
  };
  testers.runNixOSTest =
    arguments:
    strict [
      "name"
      "nodes"
      "containers"
      "testScript"
    ] arguments;
}
