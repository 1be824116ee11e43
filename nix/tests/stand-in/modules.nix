# A small module system: enough to evaluate nixos-module/ without NixOS, with its rules about priorities, conditions, types
# and unknown names. The sections of NixOS that the modules define have no declarations here, and are merged as they are.
{ lib }:
{
  modules,
  arguments,
  # Paths of NixOS's own options that may be defined, such as [ "systemd" "services" ].
  sections,
}:
let
  inherit (builtins)
    attrNames
    elem
    foldl'
    genericClosure
    head
    isAttrs
    isFunction
    isPath
    isString
    length
    map
    mapAttrs
    tail
    ;
  inherit (import ./definitions.nix { inherit lib; })
    definitionsAt
    isPlain
    ofOption
    show
    tag
    untyped
    ;

  # --- from files to a flat list of modules, each once ---

  load =
    value:
    let
      module = if isPath value || isString value then import value else value;
    in
    if isFunction module then module (arguments // { inherit config; }) else module;

  closure = genericClosure {
    startSet = keyed "" "<unknown-file>" modules;
    operator =
      {
        key,
        file,
        module,
      }:
      keyed key file (module.imports or [ ]);
  };
  # A module that is no file belongs to the one that imports it, unless it says where it is from.
  keyed =
    parent: parentFile: list:
    imap (
      index: value:
      let
        module = load value;
      in
      {
        key = if isPath value then toString value else "${parent}/${toString index}";
        file = toString (module._file or (if isPath value then value else parentFile));
        inherit module;
      }
    ) list;

  imap = f: list: builtins.genList (index: f index (builtins.elemAt list index)) (length list);
  take =
    count: list:
    if count == 0 || list == [ ] then [ ] else [ (head list) ] ++ take (count - 1) (tail list);

  parts = map (
    { file, module, ... }:
    {
      options = annotated file [ ] (module.options or { });
      config =
        module.config or (removeAttrs module [
          "imports"
          "options"
          "_file"
        ]);
    }
  ) closure;
  definedAt = path: lib.concatMap (part: definitionsAt path part.config) parts;

  # --- options ---

  isOption = value: tag value == "option";
  annotated =
    file: loc: value:
    if isOption value then
      value
      // {
        inherit loc;
        declarations = [ file ];
        type = value.type // {
          getSubOptions = prefix: annotated file prefix (value.type.getSubOptions prefix);
        };
      }
    else
      mapAttrs (name: annotated file (loc ++ [ name ])) value;

  options = foldl' mergeDeclarations { } (map (part: part.options) parts);
  mergeDeclarations =
    one: other:
    one
    // mapAttrs (
      name: value:
      if !(one ? ${name}) then
        value
      else if isOption value || isOption one.${name} then
        throw "an option is declared twice: ${name}"
      else
        mergeDeclarations one.${name} value
    ) other;

  values =
    path:
    mapAttrs (
      name: value:
      let
        here = path ++ [ name ];
      in
      if isOption value then ofOption here value (definedAt here) else values here value
    );

  # --- everything together ---

  put = path: value: if path == [ ] then value else { ${head path} = put (tail path) value; };
  join =
    one: other:
    one
    // mapAttrs (
      name: value:
      if one ? ${name} && isAttrs value && tag value == "" then join one.${name} value else value
    ) other;
  config = foldl' join { } (
    map (path: put path (untyped path (definedAt path))) sections ++ [ (values [ ] options) ]
  );

  # Nothing may be defined that is neither an option nor in a section: a misspelt name would otherwise be ignored.
  strays =
    path: declared:
    let
      onTheWay = map (take (length path + 1)) sections;
      used = lib.unique (
        lib.concatMap (definition: if isPlain definition.value then attrNames definition.value else [ ]) (
          definedAt path
        )
      );
    in
    lib.concatMap (
      name:
      let
        here = path ++ [ name ];
      in
      if elem here sections || isOption (declared.${name} or null) then
        [ ]
      else if declared ? ${name} || elem here onTheWay then
        strays here (declared.${name} or { })
      else
        [ (show here) ]
    ) used;
  unknown = strays [ ] options;
in
assert lib.assertMsg (unknown == [ ]) "there is no option ${toString unknown}";
{
  inherit config options;
}
