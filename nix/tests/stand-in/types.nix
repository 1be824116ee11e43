# Types of options: what nixpkgs' lib.types has of them, with the same descriptions (a type that consists of others puts them
# into parentheses by their class).
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatMap
    elem
    elemAt
    filter
    foldl'
    head
    isAttrs
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    map
    tail
    toJSON
    ;
  inherit (import ./definitions.nix { inherit lib; })
    definitionsAt
    equal
    isDefined
    ofOption
    ofType
    show
    strongest
    ;

  type =
    arguments:
    {
      descriptionClass = null;
      merge = equal;
      getSubOptions = _: { };
    }
    // arguments;
  noun =
    description: check:
    type {
      inherit description check;
      descriptionClass = "noun";
    };
  # Of numbers: "positive integer, meaning >0".
  clause =
    description: check:
    type {
      inherit description check;
      descriptionClass = "nonRestrictiveClause";
    };
  phrase =
    classes: other:
    if elem other.descriptionClass classes then other.description else "(${other.description})";
  inclusively = low: high: "between ${toJSON low} and ${toJSON high} (both inclusive)";
in
rec {
  str = noun "string" isString;
  strMatching =
    pattern:
    noun "string matching the pattern ${pattern}" (
      value: isString value && builtins.match pattern value != null
    );
  bool = noun "boolean" builtins.isBool;
  int = noun "signed integer" isInt;
  float = noun "floating point number" isFloat;
  path = noun "path" (value: (isString value || isPath value) && lib.hasPrefix "/" (toString value));
  externalPath = noun "absolute path not in the Nix store" (
    value:
    # A path literal would be copied to the store.
    isString value && lib.hasPrefix "/" value && !(lib.hasPrefix "${builtins.storeDir}/" value)
  );
  package = noun "package" (value: isAttrs value && value ? outPath);

  ints = {
    between = low: high: noun "integer ${inclusively low high}" (within isInt low high);
    unsigned = clause "unsigned integer, meaning >=0" (value: isInt value && value >= 0);
    positive = clause "positive integer, meaning >0" (value: isInt value && value > 0);
  };
  port = noun "16 bit unsigned integer; ${inclusively 0 65535}" (within isInt 0 65535);
  numbers.between =
    low: high:
    type {
      description = "integer or floating point number ${inclusively low high}";
      descriptionClass = "conjunction";
      check = within (value: isInt value || isFloat value) low high;
    };
  within =
    check: low: high: value:
    check value && value >= low && value <= high;

  enum =
    values:
    type {
      description = "one of ${lib.concatMapStringsSep ", " toJSON values}";
      descriptionClass = "conjunction";
      check = value: elem value values;
    };

  nullOr =
    other:
    type {
      description = "null or ${
        phrase [
          "noun"
          "conjunction"
        ] other
      }";
      descriptionClass = "conjunction";
      check = value: value == null || other.check value;
      merge = path: values: if all (value: value == null) values then null else ofType path other values;
      inherit (other) getSubOptions;
    };

  either =
    one: other:
    type {
      description =
        if one.descriptionClass == "nonRestrictiveClause" then
          "${one.description}, or ${
            phrase [
              "noun"
              "conjunction"
            ] other
          }"
        else
          "${
            phrase [
              "noun"
              "conjunction"
            ] one
          } or ${
            phrase [
              "noun"
              "conjunction"
              "composite"
            ] other
          }";
      descriptionClass = "conjunction";
      check = value: one.check value || other.check value;
      merge = path: values: ofType path (if all one.check values then one else other) values;
    };
  oneOf = types: foldl' either (head types) (tail types);

  coercedTo =
    from: coerce: to:
    type {
      description = "${phrase [ "noun" ] to} or ${phrase [ "noun" ] from} convertible to it";
      check = value: from.check value && to.check (coerce value) || to.check value;
      merge =
        path: values: ofType path to (map (value: if from.check value then coerce value else value) values);
    };

  listOf =
    other:
    type {
      description = "list of ${
        phrase [
          "noun"
          "composite"
        ] other
      }";
      descriptionClass = "composite";
      check = isList;
      merge = path: values: map (value: ofType path other [ value ]) (concatLists values);
    };

  attrsOf =
    other:
    type {
      description = "attribute set of ${
        phrase [
          "noun"
          "composite"
        ] other
      }";
      descriptionClass = "composite";
      check = isAttrs;
      merge =
        path: values:
        lib.genAttrs (filter (name: isDefined (definitionsOf name values)) (namesOf values)) (
          name: ofType (path ++ [ name ]) other (strongest (definitionsOf name values))
        );
      getSubOptions = prefix: other.getSubOptions (prefix ++ [ "<name>" ]);
    };

  # The options of a module, which is a set or a function of the name below which it is used, and what else may be defined.
  submodule =
    module:
    let
      freeOf = name: (contentOf name).freeformType or null;
      contentOf =
        name:
        let
          content = if isFunction module then module { inherit name; } else module;
          unknown = removeAttrs content [
            "options"
            "freeformType"
          ];
        in
        assert lib.assertMsg (
          unknown == { }
        ) "the stand-in has no submodules with ${toString (attrNames unknown)}";
        content;
    in
    type {
      description =
        if freeOf "‹name›" == null then
          "submodule"
        else
          "open submodule of ${
            phrase [
              "noun"
              "composite"
            ] (freeOf "‹name›")
          }";
      check = isAttrs;
      merge =
        path: values:
        let
          name = elemAt path (length path - 1);
          inherit (contentOf name) options;
          others = filter (name: !(options ? ${name})) (namesOf values);
          free = freeOf name;
        in
        assert lib.assertMsg (others == [ ] || free != null)
          "there is no option ${show (path ++ [ (head others) ])}";
        lib.optionalAttrs (others != [ ]) (
          ofType path free (map (value: removeAttrs value (attrNames options)) values)
        )
        // builtins.mapAttrs (
          name: option: ofOption (path ++ [ name ]) option (definitionsOf name values)
        ) options;
      getSubOptions = _: (contentOf "‹name›").options;
    };
  namesOf = values: lib.unique (concatMap attrNames values);
  definitionsOf =
    name: concatMap (value: if value ? ${name} then definitionsAt [ ] value.${name} else [ ]);
}
