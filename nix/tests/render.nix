# Units as text, as NixOS writes them (nixos/lib/systemd-unit-options.nix and systemd-lib.nix).
{ lib }:
let
  inherit (builtins) isList isBool toString;
  text = value: if isBool value then (if value then "true" else "false") else toString value;
  lines =
    settings:
    lib.concatStringsSep "" (
      lib.mapAttrsToList (
        key: value:
        lib.concatStringsSep "" (
          map (one: "${key}=${text one}\n") (if isList value then value else [ value ])
        )
      ) settings
    );
  names = key: list: lib.optionalAttrs (list != [ ]) { ${key} = lib.concatStringsSep " " list; };

  unit =
    {
      description ? null,
      wantedBy ? [ ],
      after ? [ ],
      before ? [ ],
      wants ? [ ],
      requires ? [ ],
      path ? [ ],
      environment ? { },
      unitConfig ? { },
      serviceConfig ? { },
      restartTriggers ? [ ],
    }:
    ''
      [Unit]
      ${lines (
        lib.optionalAttrs (description != null) { Description = description; }
        // names "After" after
        // names "Before" before
        // names "Wants" wants
        // names "Requires" requires
        // names "X-Restart-Triggers" (map toString restartTriggers)
        // unitConfig
      )}
      [Service]
      ${
        lines {
          Environment = lib.mapAttrsToList (name: value: builtins.toJSON "${name}=${toString value}") (
            environment // lib.optionalAttrs (path != [ ]) { PATH = lib.makeBinPath path; }
          );
        }
      }${lines serviceConfig}
      ${lib.concatMapStringsSep "" (target: "[Install]\nWantedBy=${target}\n") wantedBy}'';

  # A unit that starts another.
  trigger = section: description: wantedBy: settings: ''
    [Unit]
    ${lines { Description = description; }}
    [${section}]
    ${lines settings}
    ${lib.concatMapStringsSep "" (target: "[Install]\nWantedBy=${target}\n") wantedBy}'';
  path =
    {
      description,
      wantedBy,
      pathConfig,
    }:
    trigger "Path" description wantedBy pathConfig;
  timer =
    {
      description,
      wantedBy,
      timerConfig,
    }:
    trigger "Timer" description wantedBy timerConfig;
in
config:
lib.mapAttrs' (
  name: definition: lib.nameValuePair "${name}.service" (unit definition)
) config.systemd.services
// lib.mapAttrs' (
  name: definition: lib.nameValuePair "${name}.path" (path definition)
) config.systemd.paths
// lib.mapAttrs' (
  name: definition: lib.nameValuePair "${name}.timer" (timer definition)
) config.systemd.timers
