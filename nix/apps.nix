# nix run, nix run .#NAME
{
  self,
  lib,
  pkgs,
  ...
}:
let
  packages = self.packages.${pkgs.stdenv.hostPlatform.system};

  app = description: program: {
    type = "app";
    inherit program;
    meta = { inherit description; };
  };

  # A subcommand of `paysaga`, with everything on PATH that it starts.
  command =
    name: description:
    app description (
      lib.getExe (
        pkgs.writeShellApplication {
          name = "paysaga-${name}";
          runtimeInputs = [ packages.default ] ++ import ./servers.nix { inherit pkgs packages; };
          text = ''
            # In a clone of paysaga, or where a stack has run already, data is below the current directory.
            if [ ! -e nixos-module/service.nix ] && [ ! -e .paysaga ]; then
              export PAYSAGA_HOME="''${PAYSAGA_HOME:-''${XDG_STATE_HOME:-$HOME/.local/state}/paysaga}"
            fi
            exec paysaga ${name} "$@"
          '';
        }
      )
    );

  commands = lib.mapAttrs command {
    up = "Start everything here: PostgreSQL, RabbitMQ, Jaeger and the three services, until Ctrl-C";
    demo = "Place orders of every kind against a running stack and follow each to its end";
    bench = "Measure a running stack";
    check = "Prove on live data that nothing is lost, charged twice or stuck";
    failed = "Messages that no service could handle: list, show, replay, discard";
  };

  programs = lib.mapAttrs (name: program: app program.description (lib.getExe packages.${name})) (
    import ./programs.nix
  );
in
commands // programs // { default = commands.up; }
