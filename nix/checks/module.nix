# The example, a whole NixOS: every assertion holds, and systemd-analyze accepts the units.
{
  self,
  lib,
  pkgs,
}:
let
  inherit (self.nixosConfigurations.example) config;
  failed = builtins.filter (assertion: !assertion.assertion) config.assertions;
  units = lib.filterAttrs (
    name: _: lib.hasPrefix "paysaga-" name && lib.hasSuffix ".service" name
  ) config.systemd.units;
in
assert lib.assertMsg (failed == [ ]) (
  lib.concatMapStringsSep "\n" (assertion: assertion.message) failed
);
assert lib.assertMsg (
  builtins.attrNames units == [
    "paysaga-backup-wal.service"
    "paysaga-backup.service"
    "paysaga-databases.service"
    "paysaga-gateway-key.service"
    "paysaga-gateway-keys-again.service"
    "paysaga-gateway-keys.service"
    "paysaga-gateway.service"
    "paysaga-operator-databases.service"
    "paysaga-order-migrate.service"
    "paysaga-order.service"
    "paysaga-payment-migrate.service"
    "paysaga-payment.service"
    "paysaga-rabbitmq-accounts.service"
    "paysaga-service-token.service"
  ]
) "other units than expected: ${toString (builtins.attrNames units)}";
pkgs.runCommand "paysaga-module"
  {
    nativeBuildInputs = [
      pkgs.bubblewrap
      pkgs.jq
      pkgs.systemd
    ];
    # Their text alone: the rest of the system need not be built.
    units = builtins.toJSON (
      lib.mapAttrs (_: unit: builtins.unsafeDiscardStringContext unit.text) units
    );
    passAsFile = [ "units" ];
    meta.description = "The NixOS module renders units that systemd accepts, with an exposure of 1.2 at most";
  }
  ''
    mkdir units
    for name in $(jq --raw-output 'keys[]' $unitsPath); do
      jq --raw-output --arg name $name '.[$name]' $unitsPath |
        sed -E 's#^(Exec[A-Za-z]*=)/nix/store/[^ ]*#\1${pkgs.coreutils}/bin/true#' >units/$name
    done
    for name in postgresql.target rabbitmq.service; do
      printf '[Unit]\nDescription=stand-in\n' >units/$name
    done
    printf '[Service]\nType=oneshot\nExecStart=${pkgs.coreutils}/bin/true\n' >>units/rabbitmq.service
    export SYSTEMD_UNIT_PATH=$PWD/units: SYSTEMD_LOG_TARGET=console
    # It wants a /run/systemd, which a sandbox has not: everything here is as it is, with another /run.
    with_run=(bwrap)
    for folder in /*; do
      case $folder in
        /dev) with_run+=(--dev-bind /dev /dev) ;;
        /run) ;;
        *) with_run+=(--bind $folder $folder) ;;
      esac
    done
    with_run+=(--tmpfs /run --dir /run/systemd)
    "''${with_run[@]}" systemd-analyze verify --man=no --recursive-errors=no units/paysaga-*.service 2>&1 | tee log
    [ ! -s log ]
    for unit in units/paysaga-*.service; do
      "''${with_run[@]}" systemd-analyze security --no-pager --offline=true --threshold=12 $unit | tail --lines=1
    done
    touch $out
  ''
