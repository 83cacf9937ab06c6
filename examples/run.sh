#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the program fashion_mnist and runs it with the arguments given; --help lists them.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/cmake/debian.sh"

need g++ make cmake libeigen3-dev nlohmann-json3-dev zlib1g-dev libcli11-dev dataset-fashion-mnist
build=$(build_root)/examples
{
  configure "$build" -DCMAKE_CXX_COMPILER=g++ -DMIDTREAD_BUILD_TESTS=no -DMIDTREAD_BUILD_BENCH=no
  cmake --build "$build" -j "$(jobs)" --target fashion_mnist
} >&2
exec "$build/examples/fashion_mnist" "$@"
