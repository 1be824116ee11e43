# As much of nixpkgs' lib as paysaga's Nix files use, so that they can be evaluated without nixpkgs. If a function is
# missing here and nixpkgs has it, add it; if nixpkgs does not have it either, the test has found a mistake.
let
  inherit (builtins)
    isAttrs
    attrNames
    elem
    filter
    isList
    isPath
    map
    stringLength
    substring
    ;
in
rec {
  # attribute sets
  inherit (builtins) mapAttrs;
  listToAttrs = builtins.listToAttrs;
  nameValuePair = name: value: { inherit name value; };
  mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  filterAttrs =
    keep: set:
    listToAttrs (
      map (name: nameValuePair name set.${name}) (filter (name: keep name set.${name}) (attrNames set))
    );
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  optionalAttrs = condition: set: if condition then set else { };

  # lists
  optional = condition: element: if condition then [ element ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  inherit (builtins) concatMap;
  imap0 =
    f: list: builtins.genList (index: f index (builtins.elemAt list index)) (builtins.length list);
  unique = builtins.foldl' (known: new: if elem new known then known else known ++ [ new ]) [ ];

  # strings
  concatStringsSep = builtins.concatStringsSep;
  optionalString = condition: text: if condition then text else "";
  concatMapStringsSep =
    separator: f: list:
    concatStringsSep separator (map f list);
  concatMapStrings = concatMapStringsSep "";
  boolToString = value: if value then "true" else "false";
  toUpper = builtins.replaceStrings (stringToCharacters "abcdefghijklmnopqrstuvwxyz") (
    stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  );
  stringToCharacters = text: builtins.genList (index: substring index 1 text) (stringLength text);
  # Always quoted; nixpkgs leaves the quotes out where it may.
  escapeShellArg = value: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString value)}'";
  toShellVars =
    variables:
    concatStringsSep "\n" (
      mapAttrsToList (
        name: value:
        if isAttrs value then
          "declare -A ${name}=(${
            concatStringsSep " " (
              mapAttrsToList (key: one: "[${escapeShellArg key}]=${escapeShellArg one}") value
            )
          })"
        else if isList value then
          "declare -a ${name}=(${concatMapStringsSep " " escapeShellArg value})"
        else
          "${name}=${escapeShellArg value}"
      ) variables
    );
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      start = stringLength text - stringLength suffix;
    in
    start >= 0 && substring start (-1) text == suffix;
  hasInfix = infix: text: builtins.length (builtins.split (literal infix) text) > 1;
  literal =
    let
      special = stringToCharacters "\\[{()^$?*+|.";
    in
    builtins.replaceStrings special (map (character: "\\${character}") special);
  removePrefix =
    prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
  removeSuffix =
    suffix: text:
    if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
  makeBinPath = concatMapStringsSep ":" (package: "${package}/bin");

  # packages
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  addMetaAttrs = meta: package: package // { meta = package.meta or { } // meta; };
  importTOML = file: builtins.fromTOML (builtins.readFile file);
  assertMsg = condition: message: condition || throw message;
  fix =
    f:
    let
      x = f x;
    in
    x;
  licenses = {
    asl20 = "Apache-2.0";
    mit.spdxId = "MIT";
  };
  platforms.linux = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  sourceTypes.binaryNativeCode = "binaryNativeCode";

  # Every file that a source lists must exist.
  fileset = {
    maybeMissing = path: if builtins.pathExists path then [ path ] else [ ];
    unions = concatMap (
      part:
      if isList part then
        part
      else if builtins.pathExists part then
        [ part ]
      else
        throw "${toString part} is in a fileset and not on disk"
    );
    toSource =
      { root, fileset }:
      assert isPath root;
      builtins.toFile "source" (concatMapStringsSep "\n" toString fileset);
  };

  # modules
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  literalMD = text: {
    _type = "literalMD";
    inherit text;
  };
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  mkOption =
    arguments:
    let
      unknown = removeAttrs arguments [
        "type"
        "default"
        "defaultText"
        "example"
        "description"
        "internal"
        "readOnly"
      ];
    in
    assert assertMsg (unknown == { }) "mkOption has no argument ${toString (attrNames unknown)}";
    assert assertMsg (
      arguments ? description && arguments ? type
    ) "an option without a type or a description";
    arguments // { _type = "option"; };
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
    };

  types = import ./types.nix {
    lib = {
      inherit
        assertMsg
        concatMapStringsSep
        genAttrs
        hasPrefix
        optional
        optionalAttrs
        unique
        ;
    };
  };
  evalModules = import ./modules.nix {
    lib = {
      inherit
        assertMsg
        concatMap
        genAttrs
        optional
        unique
        ;
    };
  };
}
