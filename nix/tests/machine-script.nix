# The script of the machine test, for check.sh.
(import ./flake.nix).checks.x86_64-linux.vm.testScript
