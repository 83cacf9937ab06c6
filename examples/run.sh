#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh [fashion_mnist | low_bit] ARGUMENT...: builds the program, fashion_mnist if none is named, and runs it; --help
# lists its arguments.
set -eu
program=fashion_mnist
case "${1:-}" in
  fashion_mnist | low_bit) program=$1; shift ;;
esac
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/cmake/debian.sh"

need g++ make cmake libeigen3-dev nlohmann-json3-dev zlib1g-dev libcli11-dev dataset-fashion-mnist
build=$(build_root)/examples
{
  configure "$build" -DCMAKE_CXX_COMPILER=g++ -DMIDTREAD_BUILD_TESTS=no -DMIDTREAD_BUILD_BENCH=no
  cmake --build "$build" -j "$(jobs)" --target "$program"
} >&2
exec "$build/examples/$program" "$@"
