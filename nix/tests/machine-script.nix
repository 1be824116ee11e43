# The script of the machine test, to be looked at.
(import ./flake.nix).checks.x86_64-linux.vm.testScript
