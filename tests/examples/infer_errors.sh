#!/bin/sh
# SPDX-License-Identifier: MIT
# infer_errors.sh PROGRAM MODEL: bad arguments and bad files end in one line `error: ...` and the status of their kind.
set -u
infer=$1 model=$2 failures=0 cases=0
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
head -c 1000 "$model" > "$directory/truncated"
printf 'not a model' > "$directory/text"
mkdir "$directory/no data"

# expect STATUS WORD ARGUMENT...
expect() {
  wanted=$1 word=$2
  shift 2
  "$infer" "$@" > /dev/null 2> "$directory/stderr"
  got=$?
  cases=$((cases + 1))
  if [ $got != "$wanted" ] || [ "$(wc -l < "$directory/stderr")" != 1 ] || ! grep -q "^error: .*$word" "$directory/stderr"; then
    echo "infer $*: status $got, wanted $wanted and '$word' in one line:"
    cat "$directory/stderr"
    failures=$((failures + 1))
  fi
}

expect 2 usage
expect 2 usage "$model" --data
expect 2 dta "$model" --dta synthetic
expect 3 truncated "$directory/truncated"
expect 3 text "$directory/text"
expect 4 'unknown engine' "$model" --engine fbgem
expect 4 abacus "$model" --isa abacus
expect 4 amx "$model" --engine reference --isa amx
expect 5 'No such file' "$directory/none"
expect 5 'no data' "$model" --data "$directory/no data"
echo "cases=$cases failures=$failures"
[ $failures = 0 ]
