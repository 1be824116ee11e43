#!/usr/bin/env bash
# Makes the token by which order and payment know the gateway, once. Runs with its state directory as working directory; what it
# writes is readable by its own user only.
set -euo pipefail
umask 077
[[ ! -e token ]] || exit 0
head -c 32 /dev/urandom | basenc --base16 --wrap=0 >token.new
mv token.new token
