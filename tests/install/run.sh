#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh find_package|add_subdirectory|fetch_content|include_path SCRATCH MIDTREAD_BUILD_DIR: builds and runs the
# consumer. Environment: CXX, CMAKE, MIDTREAD_INCLUDE, EIGEN_INCLUDE.
set -eu
way=$1 scratch=$2 build=$3
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
source=$(dirname "$MIDTREAD_INCLUDE")
rm -rf "$scratch"
mkdir -p "$scratch"

if [ "$way" = include_path ]; then
  $CXX -std=c++17 -Wall -Wextra -Werror -I "$MIDTREAD_INCLUDE" -isystem "$EIGEN_INCLUDE" \
    "$here/main.cpp" "$here/other.cpp" -pthread -o "$scratch/consumer"
  exec "$scratch/consumer"
fi

prefix=$scratch/prefix
if [ "$way" = find_package ]; then
  "$CMAKE" --install "$build" --prefix "$scratch/first" > "$scratch/install.log"
  mv "$scratch/first" "$prefix" # an installed tree can be moved
fi
"$CMAKE" -S "$here" -B "$scratch/build" -DWAY="$way" -DMIDTREAD_SOURCE="$source" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON -DCMAKE_CXX_COMPILER="$CXX"
"$CMAKE" --build "$scratch/build"
exec "$scratch/build/consumer"
