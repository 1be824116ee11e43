# docs/OPTIONS.md, from the options themselves.
{
  # What the module system says of the options below services.paysaga.
  paysaga,
  # The folder in which they are declared: this repository.
  root,
}:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    filter
    groupBy
    head
    isAttrs
    isList
    map
    match
    stringLength
    substring
    tail
    toJSON
    ;

  isOption = value: value._type or "" == "option";
  # With those of submodules. What begins with an underscore is the module system's own.
  optionsOf =
    tree:
    concatMap (
      name:
      let
        value = tree.${name};
      in
      if isOption value then
        [ value ] ++ optionsOf (value.type.getSubOptions value.loc)
      else
        optionsOf value
    ) (filter (name: substring 0 1 name != "_") (attrNames tree));
  shown = filter (option: !(option.internal or false) && option.visible or true == true) (
    optionsOf paysaga
  );

  # A value as it is written in Nix, on one line.
  expression =
    value:
    if isList value then
      "[ ${concatStringsSep "" (map (element: "${expression element} ") value)}]"
    else if isAttrs value then
      "{ ${
        concatStringsSep "" (map (name: "${name} = ${expression value.${name}}; ") (attrNames value))
      }}"
    else
      toJSON value;
  text =
    value:
    if value._type or "" == "literalMD" then value.text else "`${value.text or (expression value)}`";
  trimmed = description: head (match "(.*[^\n])\n*" description);

  fileOf = declaration: substring (stringLength (toString root) + 1) (-1) declaration;
  bodyOf =
    option:
    let
      line = word: value: "- ${word}: ${value}";
      default = option.defaultText or option.default or null;
      hasDefault = option ? defaultText || option ? default;
    in
    concatStringsSep "\n" (
      [
        (trimmed option.description)
        ""
        (line "type" option.type.description)
      ]
      ++ (if hasDefault then [ (line "default" (text default)) ] else [ ])
      ++ (if option ? example then [ (line "example" (text option.example)) ] else [ ])
      ++ map (declaration: line "declared in" "[${fileOf declaration}](../${fileOf declaration})") (
        option.declarations
      )
    );

  # An option that several services have in the same words is one entry.
  services = [
    "gateway"
    "order"
    "payment"
  ];
  entryOf =
    option:
    let
      path = tail (tail option.loc);
      isOfService = elem (head path) services;
    in
    {
      service = head path;
      # Services come first.
      name = if isOfService then [ "*" ] ++ tail path else path;
      body = bodyOf option;
    };
  entries = attrValues (
    groupBy (entry: concatStringsSep "." entry.name + "\n" + entry.body) (map entryOf shown)
  );
  sectionOf =
    same:
    let
      entry = head same;
      readers = map (entry: entry.service) same;
      first =
        if head entry.name != "*" then
          head entry.name
        else if tail readers == [ ] then
          head readers
        else
          "{${concatStringsSep "," readers}}";
    in
    ''
      ## `${
        concatStringsSep "." (
          [
            "services.paysaga"
            first
          ]
          ++ tail entry.name
        )
      }`

      ${entry.body}
    '';
in
''
  # The options of the NixOS modules

  Written by `./dev options` from nixos-module/, where the words are to be changed. [DEPLOY.md](DEPLOY.md) has hosts to begin with.

  ${concatStringsSep "\n" (map sectionOf entries)}''
