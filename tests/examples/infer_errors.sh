#!/bin/sh
# SPDX-License-Identifier: MIT
# infer_errors.sh PROGRAM MODEL
set -u
. "$(dirname "$0")/expect_error.sh"
program=$1 model=$2
head -c 1000 "$model" > "$directory/truncated"
printf 'not a model' > "$directory/text"
mkdir "$directory/no data"

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
report
