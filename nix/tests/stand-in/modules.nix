# A small module system: enough to evaluate nixos-module/ without NixOS, with its rules about priorities, conditions,
# types and unknown names. Options are declared below `services.paysaga` only; the sections of NixOS that the modules
# define are merged as they are.
{ lib }:
{
  modules,
  arguments,
  # Paths of NixOS's own options that may be defined, such as [ "systemd" "services" ].
  sections,
}:
let
  inherit (builtins)
    all
    attrNames
    concatLists
    elem
    filter
    foldl'
    genericClosure
    head
    isAttrs
    isFunction
    isList
    isPath
    isString
    length
    map
    tail
    ;

  own = [
    "services"
    "paysaga"
  ];

  # --- from files to a flat list of modules, each once ---

  load =
    value:
    let
      module = if isPath value || isString value then import value else value;
    in
    if isFunction module then module (arguments // { inherit config; }) else module;

  closure = genericClosure {
    startSet = keyed "" modules;
    operator = { key, module }: keyed key (module.imports or [ ]);
  };
  keyed =
    parent: list:
    imap (index: value: {
      key = if isPath value then toString value else "${parent}/${toString index}";
      module = load value;
    }) list;

  imap = f: list: builtins.genList (index: f index (builtins.elemAt list index)) (length list);
  take =
    count: list:
    if count == 0 || list == [ ] then [ ] else [ (head list) ] ++ take (count - 1) (tail list);

  parts = map (
    { module, ... }:
    {
      options = module.options or { };
      config =
        module.config or (removeAttrs module [
          "imports"
          "options"
          "_file"
        ]);
    }
  ) closure;

  # --- definitions ---

  tag = value: if isAttrs value then value._type or "" else "";
  isPlain = value: isAttrs value && !(value ? outPath) && tag value == "";

  # What `value` defines at `path`. Conditions and priorities are carried along and evaluated when the value is needed.
  definitionsAt =
    path: value:
    if tag value == "if" then
      map (definition: definition // { when = value.condition && definition.when; }) (
        definitionsAt path value.content
      )
    else if tag value == "merge" then
      lib.concatMap (definitionsAt path) value.contents
    else if tag value == "override" then
      map (definition: definition // { inherit (value) priority; }) (definitionsAt path value.content)
    else if path == [ ] then
      [
        {
          when = true;
          priority = 100;
          inherit value;
        }
      ]
    else if isPlain value && value ? ${head path} then
      definitionsAt (tail path) value.${head path}
    else
      [ ];

  definedAt = path: lib.concatMap (part: definitionsAt path part.config) parts;

  show = lib.concatStringsSep ".";

  merge =
    path: definitions:
    let
      live = filter (definition: definition.when) definitions;
      strongest = foldl' (best: { priority, ... }: if priority < best then priority else best) 10000 live;
      values = map (definition: definition.value) (
        filter (definition: definition.priority == strongest) live
      );
      names = lib.unique (lib.concatMap (definition: attrNames definition.value) live);
      inner =
        name:
        lib.concatMap (
          definition:
          if definition.value ? ${name} then
            map (
              deeper:
              deeper
              // {
                priority = if deeper.priority == 100 then definition.priority else deeper.priority;
              }
            ) (definitionsAt [ ] definition.value.${name})
          else
            [ ]
        ) live;
      isDefined = name: builtins.any (definition: definition.when) (inner name);
    in
    if all (definition: isPlain definition.value) live then
      lib.genAttrs (filter isDefined names) (name: merge (path ++ [ name ]) (inner name))
    else if all isList values then
      concatLists values
    else if length (lib.unique values) == 1 then
      head values
    else
      throw "${show path} has conflicting definitions";

  # --- options ---

  isOption = value: tag value == "option";
  declared = foldl' mergeDeclarations { } (map (part: part.options.services.paysaga or { }) parts);
  mergeDeclarations =
    one: other:
    one
    // builtins.mapAttrs (
      name: value:
      if !(one ? ${name}) then
        value
      else if isOption value || isOption one.${name} then
        throw "an option is declared twice: ${name}"
      else
        mergeDeclarations one.${name} value
    ) other;

  values =
    path: options:
    let
      known = attrNames options;
      used = lib.unique (lib.concatMap (definition: attrNames definition.value) (definedAt path));
      unknown = filter (name: !(elem name known)) used;
    in
    assert lib.assertMsg (unknown == [ ]) "there is no option ${show (path ++ [ (head unknown) ])}";
    builtins.mapAttrs (
      name: option:
      let
        here = path ++ [ name ];
      in
      if isOption option then valueOf here option else values here option
    ) options;

  valueOf =
    path: option:
    let
      definitions = definedAt path;
      isDefined = builtins.any (definition: definition.when) definitions;
      value =
        if isDefined then merge path definitions else option.default or (throw "${show path} is not set");
    in
    assert lib.assertMsg (option.type.check value) "${show path} is not a ${option.type.description}";
    value;

  # --- everything together ---

  put = path: value: if path == [ ] then value else { ${head path} = put (tail path) value; };
  join =
    one: other:
    one
    // builtins.mapAttrs (
      name: value:
      if one ? ${name} && isAttrs value && tag value == "" then join one.${name} value else value
    ) other;
  config = foldl' join { } (
    map (path: put path (merge path (definedAt path))) sections ++ [ (put own (values own declared)) ]
  );

  # Nothing may be defined outside of the sections: a misspelt name would otherwise be ignored.
  strays =
    path:
    let
      allowed = map (section: take (length path + 1) section) (sections ++ [ own ]);
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
      if elem here (sections ++ [ own ]) then
        [ ]
      else if elem here allowed then
        strays here
      else
        [ (show here) ]
    ) used;
in
assert lib.assertMsg (strays [ ] == [ ]) "NixOS has no such option: ${toString (strays [ ])}";
config
