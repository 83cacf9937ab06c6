#!/bin/sh
# SPDX-License-Identifier: MIT
# Time to compile each group of headers (all of a folder in one empty program), and its ratio to Eigen/Core, which is
# timed in the same run. Best of three. The umbrella may cost 3.3 times Eigen/Core; above that: exit 1.
# Environment: CXX (g++), EIGEN_INCLUDE (/usr/include/eigen3).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root/include"
limit=3.3
program=$(mktemp --suffix=.cpp)
trap 'rm -f "$program"' EXIT

# milliseconds INCLUDE_LINES: processor time, so that other work on the machine counts little.
milliseconds() {
  for _ in 1 2 3; do
    printf '%s\n' "$1" > "$program"
    (
      "${CXX:-g++}" -std=c++17 -fsyntax-only -I . -isystem "${EIGEN_INCLUDE:-/usr/include/eigen3}" "$program"
      times
    )
  done | awk -F '[ms ]+' 'NR % 2 == 0 {  # children: 0m1.23s 0m0.12s
      took = 1000 * (60 * ($1 + $3) + $2 + $4)
      if (best == "" || took < best) best = took
    }
    END {
      if (best == "") exit 1  # what does not compile has no time
      printf "%d\n", best
    }'
}
row() { awk -v name="$1" -v ms="$2" -v eigen="$eigen" 'BEGIN { printf "%-26s %6d ms %6.2f\n", name, ms, ms / eigen }'; }

printf '%-26s %9s %6s\n' group time ratio
eigen=$(milliseconds '#include <Eigen/Core>')
row Eigen/Core "$eigen"
for layer in core kernels tensor autograd ops nn optim data quant graph quantized qat passes io train onnx tflite; do
  headers=$(find "midtread/$layer" -name '*.hpp' 2> /dev/null | LC_ALL=C sort | sed 's/.*/#include <&>/')
  [ -n "$headers" ] || continue
  took=$(milliseconds "$headers")
  row "$layer/" "$took"
done
for header in fwd runtime midtread; do
  [ -f "midtread/$header.hpp" ] || continue
  took=$(milliseconds "#include <midtread/$header.hpp>")
  row "midtread/$header.hpp" "$took"
done
[ -f midtread/midtread.hpp ] || exit 0
awk -v ms="$took" -v eigen="$eigen" -v limit=$limit 'BEGIN {
  ok = ms <= limit * eigen
  printf "umbrella: %.2f times Eigen/Core, allowed %.1f: %s\n", ms / eigen, limit, ok ? "ok" : "TOO SLOW"
  exit !ok
}'
