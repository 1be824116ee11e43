# How definitions become a value, by the rules of nixpkgs' module system: conditions, priorities, and types, of which each
# says how several values become one.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatMap
    filter
    foldl'
    head
    isAttrs
    isList
    map
    tail
    ;
in
rec {
  show = builtins.concatStringsSep ".";

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
      concatMap (definitionsAt path) value.contents
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

  isDefined = builtins.any (definition: definition.when);
  strongest =
    definitions:
    let
      live = filter (definition: definition.when) definitions;
      priority = foldl' (best: { priority, ... }: if priority < best then priority else best) 10000 live;
    in
    map (definition: definition.value) (filter (definition: definition.priority == priority) live);

  # The value of an option; its default is the weakest definition.
  ofOption =
    path: option: definitions:
    let
      values = strongest (
        definitions
        ++ lib.optional (option ? default) {
          when = true;
          priority = 1500;
          value = option.default;
        }
      );
    in
    assert lib.assertMsg (values != [ ]) "${show path} is not set";
    ofType path option.type values;

  ofType =
    path: type: values:
    assert lib.assertMsg (all type.check values) "${show path} is not of type ${type.description}";
    type.merge path values;

  # For the sections of NixOS, whose options are not declared here.
  untyped =
    path: definitions:
    let
      live = filter (definition: definition.when) definitions;
      values = strongest definitions;
      names = lib.unique (concatMap (definition: attrNames definition.value) live);
      inner =
        name:
        concatMap (
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
    in
    if all (definition: isPlain definition.value) live then
      lib.genAttrs (filter (name: isDefined (inner name)) names) (
        name: untyped (path ++ [ name ]) (inner name)
      )
    else if all isList values then
      concatLists values
    else
      equal path values;

  equal =
    path: values:
    if all (value: value == head values) values then
      head values
    else
      throw "${show path} has conflicting definitions";
}
