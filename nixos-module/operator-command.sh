# shellcheck shell=bash disable=SC2154 # operator.nix sets the variables, and puts operator-arguments.sh before this
# `paysaga` on this host. What works on the stack of this host goes to operator-unit.sh, for members of the group and for root.
# Everything else, such as what names another stack, is run as the caller, who needs credentials of their own.
set -euo pipefail

asks_for_help() {
  local argument
  for argument in "$@"; do
    [[ $argument != -h && $argument != --help && $argument != help ]] || return 0
  done
  return 1
}

environment_names_something_else() {
  local variable
  for variable in PAYSAGA_{GATEWAY,API_KEY_FILE,HOME,JAEGER} API_KEYS_FILE {RABBITMQ_URL,ORDER_DATABASE_URL,PAYMENT_DATABASE_URL}{,_FILE}; do
    [[ -z ${!variable-} ]] || return 0
  done
  return 1
}

as_caller() { exec "$program" "$@"; }

case ${1-} in
  check | failed | order | top | refunds | bench | demo | key) ;;
  *) as_caller "$@" ;;
esac
if asks_for_help "$@" || name_something_else "$@" || environment_names_something_else; then as_caller "$@"; fi

((EUID != 0)) || exec "$as_root" "$@"
[[ " $("$id" --name --groups) " == *" $group "* ]] || {
  printf 'paysaga: the credentials of this host are for members of the group %s; for another stack, name it (paysaga %s --help)\n' "$group" "$1" >&2
  exit 1
}
exec "$sudo" --non-interactive -- "$as_root" "$@"
