#!/bin/sh
# SPDX-License-Identifier: MIT
# tiles.sh SCRATCH: the AMX table as it is compiled holds the instructions it should, also where no CPU could run them:
# the tiles configured for one or two of codes and released, products of unsigned codes by signed weights only, each of a
# tile of sums (0 to 3), of codes (4, 5) and of weights (5 to 7). Environment: CXX, MIDTREAD_INCLUDE.
set -eu
scratch=$1
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
status=0 cases=0
if [ "$(uname -m)" != x86_64 ]; then
  echo "AMX is x86-64 only"
  exit 0
fi

cat > tiles.cpp << 'END'
#include <midtread/kernels/fbgemm/amx/table.hpp>
const midtread::kernels::KernelTable* table() { return &midtread::kernels::fbgemm::amx::kTable; }
END

# look ARGUMENT...
look() {
  $CXX -std=c++17 "$@" -I "$MIDTREAD_INCLUDE" -c tiles.cpp -o tiles.o
  objdump -d -C --no-show-raw-insn tiles.o | awk -v label="$*" '
    function breach(text) { print label ": " text; bad = 1 }
    /^[0-9a-f]+ <.*>:$/ { name = $0 }
    $2 == "ldtilecfg" { if (name !~ /run_tiles|configure/) breach("ldtilecfg in " name); ++configured }
    $2 == "tilerelease" { if (name !~ /run_tiles|release/) breach("tilerelease in " name); ++released }
    $2 == "tileloadd" { ++loaded }
    $2 == "tilestored" { ++stored; if ($3 !~ /^%tmm[0-3],/) breach("stores a tile that holds no sums: " $0) }
    $2 ~ /^tdp/ {
      ++multiplied
      if ($2 != "tdpbusd" || $3 !~ /^%tmm[5-7],%tmm[45],%tmm[0-3]$/) breach("product of the wrong tiles: " $0)
      split($3, tile, ",")
      if (tile[1] == tile[2]) breach("faults: " $0)
    }
    END {
      if (configured != 2) breach("ldtilecfg stands " configured + 0 " times")
      if (released != 1) breach("tilerelease stands " released + 0 " times")
      if (multiplied < 20 || loaded < 20 || stored < 20) breach("tile instructions are missing")
      print label ": tdpbusd=" multiplied + 0 " tileloadd=" loaded + 0 " tilestored=" stored + 0
      exit bad
    }' || status=1
  cases=$((cases + 1))
}

look -O0
look -O2
look -O3 -march=x86-64-v4
echo "cases=$cases"
exit $status
