# shellcheck shell=bash disable=SC2154 # operator.nix sets the variables, and puts operator-arguments.sh before this
# Runs the operator's command with the credentials of this host: as root, which members of the group become through sudo for this
# alone. The arguments are theirs.
set -euo pipefail

fail() {
  printf 'paysaga: %s\n' "$*" >&2
  exit 1
}

unit=paysaga-operator-$$.service
settings=(
  "--unit=$unit" "--description=paysaga ${1-}, for ${SUDO_USER:-root}"
  --quiet --wait --collect --service-type=exec "${sandbox[@]}"
  --setenv=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt "--setenv=PAYSAGA_GATEWAY=$gateway"
)

# give VARIABLE…: what this host has of these, as files that the unit alone can read, or as URLs without a password.
give() {
  local name
  for name in "$@"; do
    if [[ -v credentials[$name] ]]; then
      [[ -r ${credentials[$name]} ]] || fail "there is no ${credentials[$name]}, which is to hold $name"
      settings+=("--property=LoadCredential=$name:${credentials[$name]}" "--setenv=${name}_FILE=/run/credentials/$unit/$name")
    elif [[ -v databases[$name] ]]; then
      settings+=("--setenv=$name=${databases[$name]}")
    fi
  done
}
run_as() { settings+=("--property=User=$1"); }

# The file of keys that was made on this host is changed in its directory, as the user that owns that and nothing else.
use_keys() {
  if [[ -n $made_keys ]]; then
    run_as paysaga-gateway-key
    # It may have been edited by root, and keeps its owner when it is changed: chown.
    "$coreutils/chown" --no-dereference --reference="$made_keys/." "$made_keys/api-keys"
    settings+=("--property=StateDirectory=${made_keys##*/}" --property=StateDirectoryMode=0700 --property=SystemCallFilter=@chown)
    settings+=("--setenv=API_KEYS_FILE=$made_keys/api-keys")
  elif [[ -v credentials[API_KEYS] ]]; then
    [[ ${1-} == list ]] || fail "the keys of this host come from ${credentials[API_KEYS]}, and are changed where that is made"
    run_as "$user"
    give API_KEYS
  else
    fail 'there is no gateway on this host that asks for API keys (AUTHENTICATION)'
  fi
}

! name_something_else "$@" || fail 'with the credentials of this host, nothing else may be named'
case ${1-} in
  check)
    run_as "$user"
    give PAYSAGA_API_KEY RABBITMQ_URL
    # One database without the other can't be audited.
    if [[ -v credentials[ORDER_DATABASE_URL] || -v databases[ORDER_DATABASE_URL] ]] &&
      [[ -v credentials[PAYMENT_DATABASE_URL] || -v databases[PAYMENT_DATABASE_URL] ]]; then
      give ORDER_DATABASE_URL PAYMENT_DATABASE_URL
    fi
    ;;
  failed | order | top | refunds | bench | demo)
    run_as "$user"
    give PAYSAGA_API_KEY
    ;;
  key)
    use_keys "${2-}"
    give PAYSAGA_API_KEY
    ;;
  *) fail "${1-}: not with the credentials of this host" ;;
esac

if [[ -t 0 && -t 1 ]]; then settings+=(--pty); else settings+=(--pipe); fi
# It must not go on without who started it.
trap '"$systemd/systemctl" --quiet stop "$unit" 2>/dev/null || true' EXIT
# systemd would expand variables.
"$systemd/systemd-run" "${settings[@]}" -- "$program" "${@//\$/\$\$}"
