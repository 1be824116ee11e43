# The script of the machine test, for check.sh.
(import ./flake.nix).legacyPackages.x86_64-linux.machine-test.testScript
