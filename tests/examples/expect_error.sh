# SPDX-License-Identifier: MIT
# For the scripts of this folder: bad arguments and bad files end in one line `error: ...` and the status of their kind.
failures=0 cases=0
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

# expect STATUS WORD ARGUMENT...: $program ends with this status and names WORD in its one line of errors.
expect() {
  wanted=$1 word=$2
  shift 2
  "$program" "$@" > /dev/null 2> "$directory/stderr"
  got=$?
  cases=$((cases + 1))
  if [ $got != "$wanted" ] || [ "$(wc -l < "$directory/stderr")" != 1 ] || ! grep -q "^error: .*$word" "$directory/stderr"; then
    echo "$program $*: status $got, wanted $wanted and '$word' in one line:"
    cat "$directory/stderr"
    failures=$((failures + 1))
  fi
}

# The last command of a script.
report() {
  echo "cases=$cases failures=$failures"
  [ $failures = 0 ]
}
