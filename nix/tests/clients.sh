# shellcheck shell=bash
# To be sourced: clients that place orders without a pause, and note what they were answered, in files of their own in $books.
#   N.accepted   time and order of what was answered 202          N.refusals    time, status and method of what was no success
#   N.kept       user, total and key of what was answered 422     N.uncertain   users of orders that were not answered, and have no key
#   N.cancelled  orders that were cancelled                       N.surprises   answers that they could not expect
api=http://127.0.0.1:3000/api
books=$(mktemp -d)

all() { cat "$books"/*."$1" 2>/dev/null || true; }
count() { all "$1" | wc -l; }

# ask CLIENT METHOD PATH [OPTION…]: once. Prints the status, and 000 if there is no answer.
ask() {
  local client=$1 method=$2 path=$3 status
  shift 3
  status=$(curl --silent --max-time 10 --request "$method" --header @/opt/shop.authorization --header 'content-type: application/json' \
    --output "$books/$client.body" --write-out '%{http_code}' "$@" "$api/$path") || true
  [[ $status == 2* ]] || printf '%s %s %s\n' "$EPOCHREALTIME" "$status" "$method" >>"$books/$client.refusals"
  printf '%s\n' "$status"
}

# insist CLIENT METHOD PATH [OPTION…]: the same request until it is answered, other than by "try again": 409 is that too, while an
# earlier request with the same key is being executed.
insist() {
  local status
  status=$(ask "$@")
  while [[ $status != [24]* || $status == 409 ]]; do
    sleep 0.5
    status=$(ask "$@")
  done
  printf '%s\n' "$status"
}

# place CLIENT USER TOTAL [KEY]: sets placed to the order. Without a key it can't be sent again: it may have been accepted.
place() {
  local status body="{\"userId\":\"$2\",\"total\":$3}"
  if [[ ${4:-} ]]; then
    status=$(insist "$1" POST orders --header "idempotency-key: $4" --data "$body")
  else
    status=$(ask "$1" POST orders --data "$body")
  fi
  case $status in
    202)
      placed=$(jq --raw-output .orderId "$books/$1.body")
      printf '%s %s\n' "$EPOCHREALTIME" "$placed" >>"$books/$1.accepted"
      return
      ;;
    # The key was used with this version, and is repeated with the earlier one. The client keeps it for later.
    422) printf '%s %s %s\n' "${@:2}" >>"$books/$1.kept" ;;
    4*) printf '%s %s\n' "$status" "$(<"$books/$1.body")" >>"$books/$1.surprises" ;;
    *)
      printf '%s\n' "$2" >>"$books/$1.uncertain"
      sleep 0.5
      ;;
  esac
  return 1
}

# cancel CLIENT ORDER
cancel() {
  [[ $(insist "$1" PATCH "orders/$2/cancel") == 202 ]] || printf 'cancelling %s: %s\n' "$2" "$(<"$books/$1.body")" >>"$books/$1.surprises"
}

# client NUMBER: one order after the other, each for a user of its own. Most are paid (.01), some are declined (.02), of some the
# provider's answer is lost (.04), and some are cancelled. Every other client uses keys.
client() {
  local number=0 key=() cents placed
  while [[ ! -e $books/enough ]]; do
    number=$((number + 1))
    case $((number % 20)) in 3 | 13) cents=02 ;; 6) cents=04 ;; *) cents=01 ;; esac
    (($1 % 2 == 0)) || key=("client-$1-$number")
    if place "$1" "$(printf '%08x-0000-4000-8000-%012x' "$1" $number)" "$((number % 900 + 1)).$cents" "${key[@]}" && ((number % 7 == 0)); then
      printf '%s\n' "$placed" >>"$books/$1.cancelled"
      cancel "$1" "$placed"
    fi
    sleep 0.1
  done
}
