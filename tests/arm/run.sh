#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh [quick|full [SCRATCH]]: the kernel tests as ARM programs under qemu: on an AArch64 CPU with NEON, on one with
# dotprod, on one with i8mm, and on ARMv7 with and without NEON. quick is the last AArch64 CPU and small cubes; full adds
# int8 models saved on this machine, other compilers and flags, every header alone, and consumers built with the
# toolchain files; it installs the packages that are missing.
# Environment: CXX, CMAKE, MIDTREAD_INCLUDE, EIGEN_INCLUDE.
set -eu
mode=${1:-full} scratch=${2:-$(mktemp -d)}
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tests=$(dirname "$here")
root=$(dirname "$tests")
: "${CXX:=g++}" "${CMAKE:=cmake}" "${EIGEN_INCLUDE:=/usr/include/eigen3}" "${MIDTREAD_INCLUDE:=$root/include}"
source=$(dirname "$MIDTREAD_INCLUDE")
gtest=/usr/src/googletest/googletest
jobs=$(nproc 2> /dev/null || echo 1)
if [ "$mode" = full ]; then
  . "$root/cmake/debian.sh"
  need g++ cmake make clang g++-aarch64-linux-gnu g++-arm-linux-gnueabihf qemu-user libgtest-dev libeigen3-dev nlohmann-json3-dev
  jobs=$(nproc 2> /dev/null || echo 1)
fi
for program in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v $program > /dev/null || { echo "$program is missing: apt-get install g++-aarch64-linux-gnu qemu-user"; exit 1; }
done
[ -d $gtest ] || { echo "$gtest is missing: apt-get install libgtest-dev"; exit 1; }
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
status=0
fail() { echo "FAILED: $*"; status=1; }

# One line per compilation or run, `jobs` of them at a time; a line that fails makes the whole fail.
in_parallel() { xargs -P "$jobs" -I '{}' sh -c '{}'; }

own="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I $MIDTREAD_INCLUDE -I $tests -isystem $EIGEN_INCLUDE -isystem $gtest/include"
machine() { case $1 in *armv7*) echo arm-linux-gnueabihf ;; *) echo aarch64-linux-gnu ;; esac; }
emulator() { case $1 in *armv7*) echo "qemu-arm -L /usr/$(machine "$1")" ;; *) echo "qemu-aarch64 -L /usr/$(machine "$1")" ;; esac; }

# compiler BUILD: a build of the tests. ARMv7 as the compiler takes it, where only the kernels have NEON, and with all
# that a Cortex-A15 has, contracted products and sums among it.
compiler() {
  case $1 in
    gcc) echo 'aarch64-linux-gnu-g++ -std=c++17 -Wno-psabi' ;;
    clang) echo 'clang++ --target=aarch64-linux-gnu -std=c++17' ;;
    armv7) echo 'arm-linux-gnueabihf-g++ -std=c++17 -Wno-psabi' ;;
    armv7-a15) echo 'arm-linux-gnueabihf-g++ -std=c++17 -Wno-psabi -mcpu=cortex-a15 -mfpu=neon-vfpv4' ;;
    armv7-clang) echo 'clang++ --target=arm-linux-gnueabihf -std=c++17 -mfpu=neon' ;;
    armv7-clang-vfp) echo 'clang++ --target=arm-linux-gnueabihf -std=c++17' ;;
  esac
}

# The tests are two units, one namespace per test: the matrix products, and the rest.
echo "#include \"$tests/kernels/gemm_test.cpp\"" > gemm.cpp
find "$tests/kernels" "$tests/core" -name '*_test.cpp' ! -path "$tests/kernels/gemm_test.cpp" | LC_ALL=C sort |
  sed 's/.*/#include "&"/' > rest.cpp
builds=gcc
[ "$mode" = quick ] || builds='gcc clang armv7 armv7-a15 armv7-clang'
{
  if [ "$mode" = full ]; then
    echo "$CXX -std=c++17 -O1 $own $here/one_answer_write.cpp -pthread -o one-answer-write"
    for build in gcc armv7; do
      echo "$(compiler $build) -O2 $own $here/one_answer_check.cpp -pthread -o $build-one-answer-check"
    done
  fi
  for build in $builds; do
    case $build in gcc | armv7)
      for part in gtest-all gtest_main; do
        echo "$(compiler $build) -O1 -I $gtest -isystem $gtest/include -c $gtest/src/$part.cc -o $(machine $build)-$part.o"
      done ;;
    esac
    for unit in gemm rest; do echo "$(compiler $build) -O2 $own -c $unit.cpp -o $build-$unit.o"; done
  done
} | in_parallel || { echo 'the tests do not compile'; exit 1; }
for build in $builds; do
  on=$(machine $build)
  $on-g++ $build-gemm.o $build-rest.o $on-gtest-all.o $on-gtest_main.o -pthread -o $build-tests
done

# run BUILD CPU ISAS SHARDS FILTER: prints lines that run the tests in parts.
run() {
  shard=0
  while [ $shard -lt "$4" ]; do
    log=$1-$2-$shard.log
    echo "MIDTREAD_REQUIRE_ISAS=$3 GTEST_SHARD_INDEX=$shard GTEST_TOTAL_SHARDS=$4 $(emulator "$1") -cpu $2" \
      "./$1-tests --gtest_filter=$5 > $log 2>&1 || echo \"FAILED: $1-tests on $2\" >> $log"
    shard=$((shard + 1))
  done
}
all=neon,neon_dotprod,neon_i8mm small='*:-Gemm.EveryShape*:Gemm.LargeRandom*'
{
  if [ "$mode" = quick ]; then
    run gcc max $all 2 "$small"
  else
    run gcc max $all 5 '*'
    run gcc cortex-a76 neon,neon_dotprod 5 '*'
    run gcc cortex-a53 neon 5 '*'
    run armv7 cortex-a15 neon 5 '*'
    run clang max $all 1 "$small"
    run armv7-a15 cortex-a15 neon 1 "$small"
    # Clang's own vectors of floats flush what is below 2^-126 to zero on ARMv7; only kernels keep to the contract.
    run armv7-clang max neon 1 "$small:FakeQuantizeRows*"
    run armv7 cortex-a15,neon=off portable 1 'EngineFlags*:CpuFeatures*:Conv*:Elementwise*'
  fi
} | in_parallel
cat ./*.log | grep -E 'FAILED|differ|Failure|uncaught' && status=1
passed=$(cat ./*.log | grep -c '^\[       OK \]' || true)
programs=$(grep -l '^\[  PASSED  \]' ./*.log | wc -l)
[ "$programs" = "$(ls ./*.log | wc -l)" ] || fail 'not every run of the tests came to its end'
echo "tests passed under qemu: $passed in $programs runs"

if [ "$mode" = full ]; then
  # What this machine trained, converted and saved gives the same outputs there, bit for bit; layers left in float are no
  # part of that promise.
  mkdir models
  ./one-answer-write models > networks
  for on in 'gcc cortex-a53' 'gcc cortex-a76' 'gcc max' 'armv7 cortex-a7' 'armv7 cortex-a15,neon=off'; do
    build=${on% *}
    $(emulator $build) -cpu "${on#* }" ./$build-one-answer-check models $(awk '$2 == "int8" { print $1 }' networks) ||
      fail "int8 models on $on"
  done

  # Every header on AArch64; on ARMv7 those that know the machine, the rest being in the programs above.
  (cd "$MIDTREAD_INCLUDE" && find midtread -name '*.hpp') | LC_ALL=C sort > headers
  while read -r header; do
    name=$(echo "$header" | tr / _).cpp
    echo "#include <$header>" > "$name"
    case $header in
      midtread/core/* | midtread/kernels/*) all_builds='gcc clang armv7 armv7-clang armv7-clang-vfp' ;;
      *) all_builds='gcc clang' ;;
    esac
    for build in $all_builds; do
      echo "$(compiler $build) $own -fsyntax-only $name || { echo FAILED: $header alone, $build; exit 1; }"
    done
  done < headers | in_parallel || status=1
  echo "headers alone: $(wc -l < headers)"

  for on in 'gcc cortex-a53' 'armv7 cortex-a7'; do
    build=${on% *} triple=$(machine ${on% *})
    "$CMAKE" -S "$tests/install" -B $build-consumer -DWAY=add_subdirectory -DMIDTREAD_SOURCE="$source" \
      -DCMAKE_TOOLCHAIN_FILE="$source/cmake/$triple.cmake" > $build-consumer.txt 2>&1 &&
      "$CMAKE" --build $build-consumer >> $build-consumer.txt 2>&1 &&
      $(emulator $build) -cpu "${on#* }" $build-consumer/consumer >> $build-consumer.txt 2>&1 ||
      { tail -n 20 $build-consumer.txt; fail "the consumer of the toolchain file for $triple"; }
  done
fi
echo "cases=$passed"
exit $status
