#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds and runs the tests: g++, Release. --full adds clang++, ASan + UBSan, every header alone with both compilers, and
# all kernel tests as ARM programs under qemu, which --no-arm leaves out.
set -eu
usage='usage: tests/run.sh [--full] [--no-arm] [ctest argument...]     for example: tests/run.sh -L kernels'
full=no arm=yes
while :; do
  case "${1:-}" in
    --full) full=yes ;;
    --no-arm) arm=no ;;
    --help | -h) echo "$usage"; exit 0 ;;
    *) break ;;
  esac
  shift
done
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/cmake/debian.sh"

need g++ make cmake libeigen3-dev nlohmann-json3-dev zlib1g-dev libgtest-dev
[ $full = no ] || need clang libbenchmark-dev libcli11-dev
[ $full$arm != yesyes ] || need g++-aarch64-linux-gnu g++-arm-linux-gnueabihf qemu-user
build=$(build_root)
status=0

# One run of ctest covers all trees, so that its closing summary counts everything.
all=$build/tests-all
mkdir -p "$all"
: > "$all/CTestTestfile.cmake"

# one NAME CMAKE_ARGUMENT...: configures and builds a tree. What does not build is, for ctest, a test that fails.
one() {
  tree=$build/tests-$1
  shift
  echo "== $tree"
  configure "$tree" '-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG' "$@" || exit 1
  cmake --build "$tree" -j "$(jobs)" -- -k || status=1
  echo "subdirs(\"$tree\")" >> "$all/CTestTestfile.cmake"
}

# Quick ARM tests where the tools are there already.
[ $arm = no ] && arm_tests=-DMIDTREAD_ARM_TESTS=no || arm_tests=-UMIDTREAD_ARM_TESTS
[ $full$arm != yesyes ] || arm_tests=-DMIDTREAD_ARM_TESTS=full
one gcc -DCMAKE_CXX_COMPILER=g++ -DMIDTREAD_BUILD_BENCH=$full -DMIDTREAD_HEADER_TESTS=$full $arm_tests
if [ $full = yes ]; then
  one clang -DCMAKE_CXX_COMPILER=clang++ -DMIDTREAD_TEST_PREFIX=clang/ -DMIDTREAD_BUILD_BENCH=no \
    -DMIDTREAD_HEADER_TESTS=yes -DMIDTREAD_ARM_TESTS=no
  one sanitize -DCMAKE_CXX_COMPILER=g++ -DMIDTREAD_TEST_PREFIX=sanitize/ -DMIDTREAD_BUILD_BENCH=no -DMIDTREAD_BUILD_EXAMPLES=no \
    -DMIDTREAD_PACKAGE_TESTS=no -DMIDTREAD_SANITIZE=address,undefined,float-cast-overflow -DMIDTREAD_TEST_TIMEOUT=1200 \
    '-DCMAKE_CXX_FLAGS_RELEASE=-O1 -g1 -D_GLIBCXX_ASSERTIONS'
fi

[ $status = 0 ] || echo '== some programs did not build; their tests fail below'
cd "$all"
ctest -j "$(jobs)" --output-on-failure "$@" || status=1
exit $status
