#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh INCLUDE_DIR: the rules every header keeps (check.awk). Exit 1 and one line per breach.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cd "$1"
find midtread -name '*.hpp' | LC_ALL=C sort | xargs awk -f "$here/check.awk"
