# The kinds of values that variables have, as the services read them.
{ lib }:
let
  inherit (lib) types;
  described = description: type: type // { inherit description; };

  units = "(ns|nsec|nanos|us|usec|ms|msec|millis|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?|M|months?|y|yrs?|years?)";
  span = types.strMatching "[0-9]+ *${units}( *[0-9]+ *${units})*";
in
{
  inherit (types)
    str
    enum
    ints
    numbers
    ;

  switch = types.enum [
    "on"
    "off"
  ];

  duration = types.either types.ints.unsigned span // {
    description = "time such as `15m`, `10s` or `250ms`, or a number of milliseconds";
    descriptionClass = "noun";
  };
  retention = described "time of an hour or more, such as `90d` or `48h`" span;

  milliseconds = types.either types.ints.unsigned (types.strMatching "[0-9]+( *- *[0-9]+)?") // {
    description = "number of milliseconds, or a range such as `50-500`";
    descriptionClass = "noun";
  };

  url = described "URL that begins with `http://` or `https://`" (
    types.strMatching "https?://[^[:space:]]+"
  );
  network = described "network or address such as `10.0.0.0/8`" (
    types.strMatching "[0-9a-fA-F.:]+(/[0-9]+)?"
  );
  origin = described "origin such as `https://shop.example`, or `*`" (
    types.strMatching "\\*|https?://[^/[:space:]]+"
  );

  # A list, or a string with commas; either becomes a list.
  separated =
    element:
    let
      split = text: builtins.filter builtins.isString (builtins.split " *, *" text);
    in
    types.coercedTo types.str split (types.listOf element);
}
