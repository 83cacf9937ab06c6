#!/bin/sh
# SPDX-License-Identifier: MIT
# calibrate_twice.sh PROGRAM: one process calibrates and another converts; both would write the same int8 file.
set -u
. "$(dirname "$0")/expect_error.sh"
program=$1
cd "$directory" || exit 1
"$program" calib state first > report || failures=$((failures + 1))
"$program" convert state second || failures=$((failures + 1))
cmp first second || failures=$((failures + 1))
cases=$((cases + 1))
head -c 1000 state > truncated

expect 2 usage
expect 2 usage convert state
expect 2 usage calib a b c
expect 3 truncated convert truncated third
expect 3 'missing' convert first third
expect 5 none convert none third
report
