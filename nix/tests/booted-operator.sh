# shellcheck shell=bash disable=SC2154 # sourced by booted.sh
# The operator's command: what members of the group can do without being root, and what others can't.

# login USER COMMAND…: with what a login has.
login() { setpriv --reuid="$1" --regid="$1" --init-groups env -i PATH="$PATH" "${@:2}"; }
# In a directory that alice may be in.
operator() { (cd / && login alice paysaga "$@"); }

an_operator_is_not_root() {
  local made statement
  useradd --groups paysaga-operators alice
  useradd bob
  operator check --settled --json >"$scratch/check.json" || fail "a member of the group runs check: $(cat "$scratch/check.json")"
  jq --exit-status '.ok and .orders > 0 and .outbox == 0 and .queued == 0' "$scratch/check.json" >/dev/null ||
    fail "check sees the databases and the queues: $(cat "$scratch/check.json")"
  operator failed list >/dev/null || fail 'a member of the group lists failed messages'
  operator refunds list >/dev/null || fail 'a member of the group lists refunds'
  operator top >/dev/null || fail 'a member of the group sees the overview'
  refused operator failed show "\$HOME" || fail 'an argument is no id'
  grep -qF "'\$HOME'" "$scratch/refusal" || fail "arguments are passed as they are, not: $(cat "$scratch/refusal")"
  # At a terminal.
  login alice script --quiet --return --command 'cd / && paysaga failed list' /dev/null </dev/null >"$scratch/terminal.log" ||
    fail "a member of the group lists failed messages at a terminal: $(cat "$scratch/terminal.log")"
  made=$(operator key new shop 2>"$scratch/key.log") || fail 'a member of the group makes a key'
  until_true 10 'a key that an operator made is accepted' answers_to "$made" 200
  [[ $(operator key list --last-used) == *shop*Z* ]] || fail 'keys are listed with their use'
  operator key revoke --caller shop >/dev/null || fail 'a member of the group revokes a key'
  until_true 10 'a key that an operator revoked is refused' answers_to "$made" 401
  until_true 10 'sudo has logged who ran what' grep -E 'alice : .*COMMAND=.*-paysaga-operator key revoke --caller shop' <(journalctl --boot)
  [[ -z $(systemctl list-units --all --plain --no-legend 'paysaga-operator-[0-9]*') ]] || fail 'no unit is left over'
  # What later migrations make is read, too.
  for statement in 'UPDATE orders SET total = 1' 'DELETE FROM later' 'CREATE TABLE another ()'; do
    refused as postgres psql --set=ON_ERROR_STOP=1 paysaga-order --command='BEGIN; SET ROLE "paysaga-order-owner"; CREATE TABLE later ();
      SET ROLE "paysaga-operator"; SELECT FROM later; '"$statement" || fail "the operator's role is refused: $statement"
    grep -q 'permission denied' "$scratch/refusal" || fail "privileges are the reason, not: $(cat "$scratch/refusal")"
    ! grep -q 'permission denied for table later' "$scratch/refusal" || [[ $statement == *later* ]] || fail 'a later table is read'
  done
  prove 'a member of the group checks, decides and makes keys without being root'
}
# answers_to KEY STATUS
answers_to() {
  [[ $(curl --silent --output /dev/null --write-out '%{http_code}' --header @- "$api/orders" <<<"authorization: Bearer $1") == "$2" ]]
}

others_are_refused_credentials() {
  local root_program option value variable named=0
  root_program=$(sed -n "s/^as_root='\(.*\)'$/\1/p" "$(readlink /usr/bin/paysaga)")
  refused login bob paysaga check || fail 'another user is refused'
  grep -q 'members of the group paysaga-operators' "$scratch/refusal" || fail "the group is the reason, not: $(cat "$scratch/refusal")"
  refused login bob sudo --non-interactive "$root_program" check || fail 'sudo refuses another user'
  # What needs no credentials is run as the caller.
  login bob paysaga definitions >/dev/null || fail 'another user runs what needs no credentials'
  refused login bob paysaga failed list --gateway http://127.0.0.1:3000 || fail 'another user has no key'
  grep -q 401 "$scratch/refusal" || fail "the missing key is the reason, not: $(cat "$scratch/refusal")"
  # A member can name nothing that the credentials would be sent to, and no file that would be read or written with them.
  while read -r option value; do
    case $value in
      URL | PATH | FILE | FOLDER) ;;
      # Numbers, times, ids, and texts for people.
      N | C | ORDERS | PER_SECOND | SECONDS | TIME | NUMBER:HASH | ID | PAYMENT | CALLER | NAME) continue ;;
      STATUS | SERVICE | QUEUE | EVENT_TYPE | KINDS | SCOPES | NETWORKS | TEXT | REASON | REFERENCE | NOTE) continue ;;
      *) fail "it is known whether $option $value names something that credentials are sent to, or a file" ;;
    esac
    [[ $option == --* ]] || fail "an argument names something that can't be refused: $value"
    refused login alice sudo --non-interactive "$root_program" check "$option" x || fail "$option is refused"
    grep -q 'nothing else may be named' "$scratch/refusal" || fail "$option is refused for what it is, not: $(cat "$scratch/refusal")"
    named=$((named + 1))
  done < <(help_of_each | sed -nE 's/^ +(-[a-z], )?(--[a-z-]+)[ =[]*<([^>]*)>.*/\2 \3/p; s/^  [<[]([A-Z_]+)[]>].*/- \1/p' | sort -u)
  ((named > 9)) || fail "there are options that name something, not $named"
  # So do variables: with one of them it is the plain program, without credentials.
  while read -r variable; do
    refused login bob env "$variable=/dev/null" paysaga failed list || fail "with $variable there are no credentials"
    ! grep -q 'members of the group' "$scratch/refusal" || fail "with $variable it is the plain program"
  done < <(help_of_each | sed -nE 's/.*\[env: ([A-Z_]+).*/\1/p' | sort -u && echo PAYSAGA_HOME)
  for option in up pki prune erase convert-queues definitions; do
    refused login alice sudo --non-interactive "$root_program" $option || fail "$option is not run with credentials"
  done
  # As docs/DEPLOY.md has it.
  as postgres paysaga prune --dry-run --timeline 1d --order-database-url 'postgres://postgres@localhost/paysaga-order?host=/run/postgresql' >/dev/null ||
    fail "the administrator of PostgreSQL prunes"
  prove 'the credentials of the host are for members of the group, and for this host alone'
}

# What each subcommand that gets credentials says about itself.
help_of_each() {
  local command
  for command in check failed order top refunds bench demo key; do help_of "$command"; done
}
# help_of COMMAND…: what it says about itself, and what those below it say.
help_of() {
  local text subcommand
  text=$(/opt/paysaga "$@" --help)
  printf '%s\n' "$text"
  while read -r subcommand; do
    [[ $subcommand == help ]] || help_of "$@" "$subcommand"
  done < <(sed -nE '/^Commands:/,/^$/s/^  ([a-z-]+) .*/\1/p' <<<"$text")
}

operators_show_no_secret() {
  local running seen
  operator bench --single 1 --orders 400 >"$scratch/bench.log" 2>&1 &
  running=$!
  until_true 20 'the command runs as a user of its own' pgrep --uid paysaga-operator paysaga
  seen=$(for_each_process)
  for secret in "$(cat "$key/api-key")" "$(cat "$accounts/operator.password")"; do
    [[ $seen != *"$secret"* ]] || fail 'no secret is in an argument or in the environment'
  done
  wait $running || fail "a member of the group measures: $(cat "$scratch/bench.log")"
  prove 'an operator leaves no secret in arguments or in the environment'
}
for_each_process() { cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n'; }
