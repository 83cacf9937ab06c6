#!/bin/sh
# SPDX-License-Identifier: MIT
# Time to compile each group of headers (all of a folder in one empty program), and its ratio to Eigen/Core, which is
# timed in the same run. Best of three. The umbrella may cost 3.3 times Eigen/Core; above that: exit 1.
# Environment: CXX (g++), EIGEN_INCLUDE (/usr/include/eigen3).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root/include"
limit=3.3

# milliseconds INCLUDE_LINES
milliseconds() {
  best=
  for _ in 1 2 3; do
    start=$(date +%s%N)
    printf '%s\n' "$1" | "${CXX:-g++}" -std=c++17 -fsyntax-only -I . -isystem "${EIGEN_INCLUDE:-/usr/include/eigen3}" -x c++ -
    took=$((($(date +%s%N) - start) / 1000000))
    if [ -z "$best" ] || [ "$took" -lt "$best" ]; then best=$took; fi
  done
  echo "$best"
}
row() { awk -v name="$1" -v ms="$2" -v eigen="$eigen" 'BEGIN { printf "%-26s %6d ms %6.2f\n", name, ms, ms / eigen }'; }

printf '%-26s %9s %6s\n' group time ratio
eigen=$(milliseconds '#include <Eigen/Core>')
row Eigen/Core "$eigen"
for layer in core kernels tensor autograd ops nn optim data quant graph quantized qat passes io train onnx tflite; do
  headers=$(find "midtread/$layer" -name '*.hpp' 2> /dev/null | LC_ALL=C sort | sed 's/.*/#include <&>/')
  [ -z "$headers" ] || row "$layer/" "$(milliseconds "$headers")"
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
