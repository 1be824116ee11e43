# shellcheck shell=bash
# Whether arguments name files or another stack. With the credentials of this host that would send them elsewhere, or read and
# write files with them.
name_something_else() {
  local argument
  for argument in "$@"; do
    case $argument in
      --gateway* | --api-key-file* | --directory* | --file* | --body* | --svg*) return 0 ;;
      --rabbitmq-url* | --order-database-url* | --payment-database-url*) return 0 ;;
      --against* | --flood-api-key-file* | --jaeger*) return 0 ;;
    esac
  done
  return 1
}
